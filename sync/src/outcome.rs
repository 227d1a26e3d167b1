//! What a replica answers its owner with.

use crate::id::{Digest, Seq, Timestamp};
use crate::limits::PENDING_MAX;
use crate::message::Rejection;

/// What became of a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log, durably, at this place.
    Accepted {
        /// Its event's seq.
        seq: Seq,
        /// Its event's time.
        time: Timestamp,
    },
    /// It was not applied. The optimistic state is without it.
    Rejected(Rejection),
    /// It was decided while this replica was away for so long that it came back by a snapshot. The snapshot includes it,
    /// unless the room had rejected it and has since forgotten that.
    Decided,
    /// It may have been sent from here before, and the room has forgotten this client since: whether it was applied cannot be told.
    /// It is not sent again, so that nothing is ever applied twice.
    Unknown,
}

/// How far a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No connection.
    Offline,
    /// Connected; waits for `Welcome`, or for the machine.
    Joining,
    /// Has a state; events up to the head that `Welcome` named are still to come.
    CatchingUp,
    /// Shows the present.
    Live,
}

/// A replica found that its state is not everyone's. It heals itself; this is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("diverged at {seq} under {digest}: the snapshot here has hash {ours}, the room's {theirs}")]
pub struct Divergence {
    /// The checkpoint's seq.
    pub seq: Seq,
    /// The build.
    pub digest: Digest,
    /// The hash here; all zeros where an accepted event could not even be applied.
    pub ours: Digest,
    /// The room's hash; all zeros where there was none yet.
    pub theirs: Digest,
}

/// Why a transition was not taken on. Nothing was sent, no number was used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// There is no state yet.
    #[error("the room is still being joined")]
    NotReady,
    /// The prediction says no: what the host would say, as far as can be known here.
    #[error(transparent)]
    Rejected(Rejection),
    /// Too many are pending.
    #[error("{PENDING_MAX} transitions are pending; more are taken when some have been decided")]
    TooManyPending,
}
