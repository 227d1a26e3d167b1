//! Items that the macros' expansions name. Not part of the API.

use std::fmt::Display;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::{from_snapshot, restore_own_version};

pub use {schemars, serde};

/// The supertraits of [`StateMachine`](crate::StateMachine): everything a state needs besides being a machine.
pub trait MachineData: Clone + Serialize + DeserializeOwned + schemars::JsonSchema + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + schemars::JsonSchema + 'static> MachineData for T {}

/// The conversion of an earlier version of a state.
#[diagnostic::on_unimplemented(
    message = "no migration from `{Self}` to `{New}`",
    label = "the state had this type in an earlier version",
    note = "implement `From<{Self}> for {New}`, or `TryFrom<{Self}>` with an error that is `Display` where it can fail"
)]
pub trait Migrate<New> {
    /// Returns the state in the newest version.
    ///
    /// # Errors
    ///
    /// The author's conversion fails; the text says why.
    fn migrate(self) -> Result<New, String>;
}

// The compiler would report a missing `TryFrom` as a missing `Into`, which is not the trait that an author should implement.
#[diagnostic::do_not_recommend]
impl<Old, New> Migrate<New> for Old
where
    New: TryFrom<Old, Error: Display>,
{
    fn migrate(self) -> Result<New, String> {
        New::try_from(self).map_err(|error| error.to_string())
    }
}

/// The version of a machine that holds an `M`: 1, as for every machine without an attribute. Does not compile if `M` has a version of
/// its own, since nothing would read that version.
#[must_use]
pub const fn version_around<M: crate::StateMachine>() -> u32 {
    assert!(
        M::STATE_VERSION == 1,
        "a machine that is inside another has `#[machine(state_version = ...)]`, which nobody looks at there: a room's state has one version, \
         that of the outermost machine. Move the attribute to the outermost machine, and migrate from a type that holds the earlier type \
         of this one; the chapter \"Upgrading\" of the book shows how"
    );
    1
}

/// Reads a snapshot of an earlier version.
///
/// # Errors
///
/// The bytes are not a snapshot of that version, or it cannot be migrated; the text says which.
pub fn migrate<Old, New>(snapshot: &[u8], state_version: u32) -> Result<New, String>
where
    // Not `DeserializeOwned`, for which serde gives no advice.
    Old: for<'de> Deserialize<'de> + Migrate<New>,
{
    let because = |error| format!("the snapshot of state version {state_version} cannot be migrated: {error}");
    from_snapshot::<Old>(snapshot).and_then(Old::migrate).map_err(because)
}

/// Reads a snapshot without a migration.
///
/// # Errors
///
/// The snapshot has another version than this build's own, or the bytes are not a snapshot; the text says which.
pub fn restore_newest<New: DeserializeOwned>(snapshot: &[u8], found: u32, own: u32) -> Result<New, String> {
    if found != own && own > 1 {
        return Err(format!("the snapshot has state version {found}, and this build reads 1 to {own}"));
    }
    restore_own_version(snapshot, found, own)
}
