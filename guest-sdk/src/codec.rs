//! Postcard, for what is stored and sent.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a snapshot's bytes as a `T`, to the last byte. For a `restore` that migrates what an earlier build wrote.
///
/// # Errors
///
/// The bytes are no `T`, or more than one; the text says which.
pub fn from_snapshot<T: DeserializeOwned>(snapshot: &[u8]) -> Result<T, String> {
    from_postcard(snapshot, "snapshot")
}

/// The default `restore`: reads what this build's own version wrote.
pub(crate) fn restore_own_version<T: DeserializeOwned>(snapshot: &[u8], found: u32, own: u32) -> Result<T, String> {
    if found != own {
        return Err(format!("the snapshot has state version {found}, and this build reads only {own}"));
    }
    from_snapshot(snapshot)
}

/// Reads all of `bytes` as a `T`. `what` names them in the error.
pub(crate) fn from_postcard<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes are left over after the {what}", rest.len())),
        Err(error) => Err(format!("the bytes are no {what} of this machine: {error}")),
    }
}

pub(crate) fn to_postcard<T: Serialize>(value: &T, what: &str) -> Result<Vec<u8>, String> {
    postcard::to_allocvec(value).map_err(|error| format!("the {what} cannot be encoded: {error}"))
}
