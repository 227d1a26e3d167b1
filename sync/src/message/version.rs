//! Versions, and the abilities beyond them.

use serde::{Deserialize, Serialize};

/// The version of these messages that this code speaks. Both sides name theirs, and the lower one applies.
///
/// Version 2 adds snapshots that come in parts, and rooms that are overfull.
pub const VERSION: u16 = 2;

/// The first version whose replicas accept a snapshot in parts.
pub const PARTS_SINCE: u16 = 2;

/// The first version whose replicas know [`Rejection::Overfull`](super::Rejection::Overfull).
pub(super) const OVERFULL_SINCE: u16 = 2;

/// The kinds of messages, as the first byte of their frames, that a reader which does not know them skips.
pub const SKIPPABLE_KINDS: std::ops::RangeInclusive<u8> = 0x40..=0x7f;

/// The abilities of one side beyond its version, one bit each. Unknown bits are ignored. None is defined yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// The capabilities of this code.
    pub const OURS: Self = Self(0);
}
