//! The errors of a journal.

use std::path::PathBuf;

use reapply_sync::{Digest, Name, RoomId, Seq};

/// The reasons why a journal operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The room's log exists already.
    #[error("the room {0} exists already")]
    RoomExists(RoomId),
    /// The room's log is being written, and begins when it is published.
    #[error("the room {0} is being created from another room's log: try again later")]
    RoomStaged(RoomId),
    /// The room is published, so it is not removed.
    #[error("the room {0} is in use; only a room that is being created can be discarded")]
    NotStaged(RoomId),
    /// The room has no log.
    #[error("there is no room {0}")]
    NoSuchRoom(RoomId),
    /// The machine was never deployed.
    #[error("there is no machine {0}; deploy it first: reapply deploy DIR")]
    NoSuchMachine(Name),
    /// The build is not stored.
    #[error("no component is stored under the digest {0}")]
    NoSuchComponent(Digest),
    /// The requested events are no longer kept.
    #[error("the log of {room} begins after event {begins}; earlier events are no longer kept")]
    Trimmed {
        /// The room.
        room: RoomId,
        /// The last event that is no longer kept.
        begins: Seq,
    },
    /// The log cannot be trimmed there.
    #[error("the log of {room} cannot be trimmed up to {upto}: {why}")]
    NotTrimmable {
        /// The room.
        room: RoomId,
        /// The requested seq.
        upto: Seq,
        /// The reason.
        why: &'static str,
    },
    /// A snapshot that must exist at this seq is missing.
    #[error("the room {room} has no snapshot at seq {seq}, which its log would begin with")]
    SnapshotMissing {
        /// The room.
        room: RoomId,
        /// The seq of the snapshot.
        seq: Seq,
    },
    /// The snapshot does not belong to this log: its seq is beyond the head, or its chain or its build differs there.
    #[error("the snapshot of {room} at seq {seq} does not belong to the room's log")]
    SnapshotMismatch {
        /// The room.
        room: RoomId,
        /// The snapshot's seq.
        seq: Seq,
    },
    /// The bytes of the component have another digest.
    #[error("the component's bytes do not have the digest {0}")]
    ComponentMismatch(Digest),
    /// The target file of a backup exists already.
    #[error("{} exists already: name another file for the backup", .0.display())]
    BackupExists(PathBuf),
    /// More is waiting to be stored or read than the journal holds. Nothing was done; the caller may try again.
    #[error("the journal's queue is full ({waiting} of at most {waiting_max} {unit} are waiting): try again later")]
    QueueFull {
        /// The amount that is waiting.
        waiting: usize,
        /// The limit.
        waiting_max: usize,
        /// The unit: bytes or calls.
        unit: &'static str,
    },
    /// The storage failed: the disk is full, or does not read or write.
    #[error("the journal's storage failed: {0}")]
    Storage(String),
    /// The stored data is damaged.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
    /// The journal has been closed.
    #[error("the journal is closed")]
    Closed,
}
