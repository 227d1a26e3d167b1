//! Postcard, for data that is stored and sent.

mod levels;
mod read;

use postcard::ser_flavors::Size;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::NESTING_MAX;

/// Reads all of a snapshot's bytes as a `T`. For a `restore` that migrates the state of an earlier build.
///
/// # Errors
///
/// The bytes are not exactly one `T`; the text says why.
pub fn from_snapshot<T: DeserializeOwned>(snapshot: &[u8]) -> Result<T, String> {
    // Without a limit on nesting: `apply` has checked it, and a state that it accepted must open again.
    from_postcard(snapshot, "snapshot", usize::MAX)
}

/// The default `restore`: reads the snapshots of this build's own version.
pub(crate) fn restore_own_version<T: DeserializeOwned>(snapshot: &[u8], found: u32, own: u32) -> Result<T, String> {
    if found != own {
        return Err(format!("the snapshot has state version {found}, and this build reads only {own}"));
    }
    from_snapshot(snapshot)
}

/// Reads all of `bytes` as a transition.
pub(crate) fn read_transition<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    from_postcard(bytes, "transition", NESTING_MAX)
}

/// Returns the number of bytes that `value` takes in a snapshot. A value that cannot be encoded counts 0: its snapshot is refused.
pub(crate) fn stored_bytes<T: Serialize + ?Sized>(value: &T) -> u64 {
    postcard::serialize_with_flavor(value, Size::default()).map_or(0, |bytes| bytes as u64)
}

pub(crate) fn to_postcard<T: Serialize>(value: &T, what: &str) -> Result<Vec<u8>, String> {
    postcard::to_allocvec(value).map_err(|error| format!("the {what} cannot be encoded: {error}"))
}

/// Returns whether `value` nests more deeply than [`NESTING_MAX`].
pub(crate) fn nests_too_deeply<T: Serialize>(value: &T) -> bool {
    levels::exceed(value, NESTING_MAX)
}

/// Reads all of `bytes` as a `T`. `what` names them in the error.
fn from_postcard<T: DeserializeOwned>(bytes: &[u8], what: &str, levels_max: usize) -> Result<T, String> {
    match read::take(bytes, levels_max) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes are left over after the {what}", rest.len())),
        Err(error) => Err(format!("the bytes are no {what} of this machine: {error}")),
    }
}
