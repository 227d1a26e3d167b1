//! The keys of maps and sets.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Id;

/// A key of a [`Map`](crate::Map) or a member of a [`Set`](crate::Set). It is ordered, and in JSON it is a string or a whole number, so
/// that it can be a property name of an object.
///
/// A struct around such a key (`struct Name(String)`) and an enum whose variants hold nothing can be keys too; add an
/// empty `impl Key for Name {}`.
pub trait Key: Clone + std::fmt::Debug + Ord + Serialize + DeserializeOwned + JsonSchema + 'static {}

macro_rules! keys {
    ($($key:ty)*) => { $(impl Key for $key {})* };
}

keys!(String char Id u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);
