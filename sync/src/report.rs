//! The reports of a room to its operator, and the reasons why it may not open.

use crate::id::{Author, Seq};
use crate::limits::LOG_EVENTS_MAX;
use crate::machine::{Alarm, ApplyError, Fault, LoadError};
use crate::replay::ReplayError;

/// A report for an operator or a machine's author. The room continues, unless the report says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Report {
    /// The machine faulted on an input. The input was rejected, and the room went back to its last good state.
    #[error("{fault}, on an input by {author}; it was rejected and the room is as it was")]
    Faulted {
        /// The author of the input, if any.
        author: Author,
        /// The fault.
        fault: Fault,
    },
    /// The machine faulted outside of `apply`: in its alarm, its snapshot or its view.
    #[error("{fault}, in {function}; the room is as it was")]
    FunctionFaulted {
        /// The name of the machine's function.
        function: &'static str,
        /// The fault.
        fault: Fault,
    },
    /// The snapshot is larger than the limit: recovery grows with the log.
    #[error("the snapshot has {bytes} bytes; the limit is {bytes_max}")]
    SnapshotTooLarge {
        /// The size of the snapshot.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The snapshot could not be restored in an instance of its own, so the room goes on from the one before. Recovery grows with the log.
    #[error("the room's snapshot was tried and cannot be restored, so it is not stored: {why}")]
    SnapshotUnrestorable {
        /// The reason.
        why: String,
    },
    /// The room cannot take a snapshot, and takes no more transitions until it can. It tries again every so often, and says so once.
    #[error(
        "the room cannot take a snapshot, and has {bytes} bytes of events since the last one; until it can it takes no more transitions"
    )]
    Overfull {
        /// Bytes of events since the last snapshot.
        bytes: usize,
    },
    /// The machine refused the alarm that it had set itself, or faulted on it. That is not tried again.
    #[error("the alarm failed, and is not tried again: {why}")]
    AlarmFailed {
        /// The alarm.
        alarm: Alarm,
        /// The reason.
        why: ApplyError,
    },
    /// The last good state could not be restored. The room cannot continue.
    #[error("the room's last good state could not be made again: {0}")]
    Broken(String),
}

/// The reasons why a room could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The log could not be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The log is near its last possible event.
    #[error("the log ends at event {head}; a room opens with up to {LOG_EVENTS_MAX} events")]
    TooLong {
        /// The last event of the log.
        head: Seq,
    },
    /// The machine did not write a snapshot of its own state.
    #[error("the first snapshot could not be taken: {0}")]
    Snapshot(Fault),
    /// The batches do not follow the snapshot, or each other.
    #[error("the batch after {expected} was found where the one after {head} should be")]
    Disordered {
        /// The seq before the batch.
        expected: Seq,
        /// The head that it should follow.
        head: Seq,
    },
}

/// The reasons why a room does not switch to another build. The room has not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// Another operation is in progress in the room, or the room cannot continue at all.
    #[error("the room is not at rest")]
    NotSettled,
    /// The room already runs that build.
    #[error("the room runs that build already")]
    IsCurrent,
    /// The current build did not write its state.
    #[error("the current build does not write its state: {0}")]
    OldSnapshot(Fault),
    /// The new build cannot restore the state.
    #[error("the new build does not restore the room's state: {0}")]
    Restore(LoadError),
    /// The new build cannot restore its own snapshot of the state that it restored.
    #[error("the new build does not restore its own snapshot of the room's state: {0}")]
    Unrestorable(LoadError),
    /// The new build cannot write the state that it restored.
    #[error("the new build does not write the state that it restored: {0}")]
    NewSnapshot(Fault),
    /// The new build cannot give the alarm of the state that it restored.
    #[error("the new build does not tell the alarm of the state that it restored: {0}")]
    NewAlarm(Fault),
    /// The new build's snapshot is larger than the limit.
    #[error("the new build's snapshot has {bytes} bytes; the limit is {bytes_max}")]
    TooLarge {
        /// The size of the snapshot.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
}
