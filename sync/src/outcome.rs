//! What a replica answers its owner with.

use crate::id::{Digest, Seq, Timestamp};
use crate::limits::{COUNT_MAX, PENDING_BYTES_MAX, PENDING_MAX};
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
#[error("diverged at {seq} under {digest}: the snapshot here has {}, the room's {}", hash(ours.as_ref()), hash(theirs.as_ref()))]
pub struct Divergence {
    /// The checkpoint's seq.
    pub seq: Seq,
    /// The build.
    pub digest: Digest,
    /// The hash here; none where an accepted event could not even be applied.
    pub ours: Option<Digest>,
    /// The room's hash; none where there was none yet.
    pub theirs: Option<Digest>,
}

fn hash(digest: Option<&Digest>) -> String {
    digest.map_or_else(|| "no hash".to_owned(), |digest| format!("hash {digest}"))
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
    #[error(
        "too many transitions are pending (limits: {PENDING_MAX}, and {PENDING_BYTES_MAX} bytes); more are taken when some have been decided"
    )]
    TooManyPending,
    /// The client has used its last number.
    #[error("this client has used its last number, {COUNT_MAX}; go on with another key")]
    NumbersUsedUp,
}

impl SubmitError {
    /// The kind of refusal, as one word. Those of [`Rejection::kind`] are among them.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotReady => "not-ready",
            Self::Rejected(rejection) => rejection.kind(),
            Self::TooManyPending => "busy",
            Self::NumbersUsedUp => "used-up",
        }
    }
}
