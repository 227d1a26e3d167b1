//! The JSON face: how serde's data model looks to people and to JavaScript.
//!
//! It is serde's usual JSON, but for whole numbers of more than 32 bits: `u64`, `i64`, `u128`, `i128`, `usize` and `isize` are strings of
//! decimal digits, since JavaScript's numbers lose what is above 2^53. They are so by their type and not by their value, so that a
//! program finds out about it on the first day. On reading, numbers are taken as well. Protocol Buffers decided the same.
//!
//! Floats without a fraction are written without one, as JavaScript does.

mod read;
mod schema;
mod write;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use schema::{schema_read, schema_written};

/// Reads all of `json` as a `T`. `what` names it in the error.
pub(crate) fn from_json<T: DeserializeOwned>(json: &str, what: &str) -> Result<T, String> {
    read::from_str(json).map_err(|error| format!("the JSON is no {what} of this machine: {error}"))
}

pub(crate) fn to_json<T: Serialize>(value: &T, what: &str) -> Result<String, String> {
    write::to_string(value).map_err(|error| format!("the {what} has no JSON form: {error}"))
}
