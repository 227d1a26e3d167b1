//! The faults of an export, or of the log that it holds.

use reapply_sync::event::Damage;
use reapply_sync::{Digest, ReplayError, Seq};

use super::read::ReadError;

/// The first fault that was found.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    /// The file is not an export, is damaged, or is incomplete.
    #[error(transparent)]
    File(#[from] ReadError),
    /// The header disagrees with the log.
    #[error("the header is wrong: {why}")]
    Header {
        /// The difference.
        why: String,
    },
    /// A component is not the expected one, or would be refused by a host.
    #[error("component {digest}: {why}")]
    Component {
        /// The digest of the component.
        digest: Digest,
        /// The problem.
        why: String,
    },
    /// A record is damaged, or is not the next one.
    #[error("the record after event {after}, {damage}")]
    Record {
        /// The last event before it.
        after: Seq,
        /// The place in the record, and the damage.
        damage: Damage,
    },
    /// An event is not allowed at its place.
    #[error("event {seq}: {why}")]
    Event {
        /// The seq of the event.
        seq: Seq,
        /// The reason.
        why: String,
    },
    /// A snapshot does not hold the state that the log leads to.
    #[error("the snapshot at {seq}: {why}")]
    Snapshot {
        /// The seq of the snapshot.
        seq: Seq,
        /// The difference.
        why: String,
    },
    /// The log does not have the same result as before.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}
