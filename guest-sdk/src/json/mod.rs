//! The JSON face: serde's data model as people and JavaScript see it.
//!
//! It is serde's usual JSON, except for integers of more than 32 bits: `u64`, `i64`, `u128`, `i128`, `usize` and `isize` are strings of
//! decimal digits, since JavaScript's numbers are exact only up to 2^53. This depends on the type and not on the value, so that a
//! program finds out about it on the first day. Numbers are accepted for them as well. Protocol Buffers made the same choice.
//!
//! Floats are written as JavaScript writes them: `2`, `1e+21`, and `0` for a negative zero. Numbers are read by value: `2`, `2.0`
//! and `2e0` are the same integer, and `-0` is `0`.

mod buffered;
mod levels;
mod numbers;
mod read;
mod schema;
mod write;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use schema::{schema_read, schema_written};

/// Reads all of `json` as a `T`. `what` names it in the error.
pub(crate) fn from_json<T: DeserializeOwned>(json: &str, what: &str) -> Result<T, String> {
    read::from_str(json).map_err(|error| format!("the JSON is no {what} of this machine: {error}"))
}

/// Reads the options of a room. Their type may use all of serde.
pub(crate) fn options_from_json<T: DeserializeOwned + JsonSchema>(json: &str) -> Result<T, String> {
    let read = from_json(json, "options");
    // Most machines have no options. An empty struct holds no number, so the code that looks for them is not needed either.
    if const { size_of::<T>() == 0 } {
        return read;
    }
    read.or_else(|error| buffered::from_str(json).ok_or(error))
}

pub(crate) fn to_json<T: Serialize>(value: &T, what: &str) -> Result<String, String> {
    write::to_string(value).map_err(|error| format!("the {what} has no JSON form: {error}"))
}
