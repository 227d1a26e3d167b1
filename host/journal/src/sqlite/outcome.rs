//! The outcome of an operation.

use reapply_sync::Seq;

use crate::JournalError;

/// The outcome of an operation, if its transaction is committed.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    /// The operation has done as much as one transaction should, and continues in another.
    More,
    /// The append expected another head than this.
    Conflict(Seq),
    Refused(JournalError),
}
