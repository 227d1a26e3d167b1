//! What is wrong with an export, or with the log that it holds.

use reapply_sync::event::Damage;
use reapply_sync::{Digest, ReplayError, Seq};

use super::read::ReadError;

/// The first thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    /// The file is no export, is damaged, or breaks off.
    #[error(transparent)]
    File(#[from] ReadError),
    /// The header says what the log does not bear out.
    #[error("the header is wrong: {why}")]
    Header {
        /// What it is.
        why: String,
    },
    /// A component is not what it must be, or is none that a host would run.
    #[error("component {digest}: {why}")]
    Component {
        /// Which.
        digest: Digest,
        /// What is wrong with it.
        why: String,
    },
    /// A record is damaged, or not the one that follows.
    #[error("the record after event {after}, {damage}")]
    Record {
        /// The last event before it.
        after: Seq,
        /// Where in it, and how.
        damage: Damage,
    },
    /// An event cannot stand where it does.
    #[error("event {seq}: {why}")]
    Event {
        /// Which.
        seq: Seq,
        /// Why not.
        why: String,
    },
    /// A snapshot is not of the state that the log leads to.
    #[error("the snapshot at {seq}: {why}")]
    Snapshot {
        /// Which.
        seq: Seq,
        /// What is wrong with it.
        why: String,
    },
    /// The log does not do again what it did once.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}
