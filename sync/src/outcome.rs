//! The answers of a replica to its owner.

use crate::id::{Digest, Number, Seq, Timestamp};
use crate::limits::{COUNT_MAX, PENDING_BYTES_MAX, PENDING_MAX};
use crate::message::Rejection;

/// The outcome of a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The transition is in the log, durably, at this place.
    Accepted {
        /// The seq of its event.
        seq: Seq,
        /// The time of its event.
        time: Timestamp,
    },
    /// The transition was not applied. The optimistic state does not include it.
    Rejected(Rejection),
    /// The transition was decided while this replica was away for so long that it came back by a snapshot. The snapshot includes it,
    /// unless the room had rejected it and has since forgotten that.
    Decided,
    /// The transition may have been sent from here before, and the room has forgotten this client since: whether it was applied is
    /// unknown. It is not sent again, so that nothing is ever applied twice.
    Unknown,
}

/// The end of a pending transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The client's number for the transition.
    pub number: Number,
    /// The outcome.
    pub outcome: Outcome,
    /// Whether the replica itself has rejected the transition, because a new build does not read it. The room has not taken it on, and would take
    /// it for decided once it has taken on a later one. So an owner that stores pending transitions removes this one before it sends others.
    pub is_withdrawn: bool,
}

/// The phase of a replica's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not connected.
    Offline,
    /// Connected; waiting for `Welcome`, or for the machine.
    Joining,
    /// Holding a state; events up to the head that `Welcome` named are still to come.
    CatchingUp,
    /// Showing the present.
    Live,
}

/// A replica's report that its state differs from the room's. The replica heals itself; this is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("diverged at {seq} under {digest}: the snapshot here has {}, the room's {}", hash(ours.as_ref()), hash(theirs.as_ref()))]
pub struct Divergence {
    /// The checkpoint's seq.
    pub seq: Seq,
    /// The build of the replica.
    pub digest: Digest,
    /// The hash here; `None` if an accepted event could not even be applied.
    pub ours: Option<Digest>,
    /// The room's hash; `None` if there was none yet.
    pub theirs: Option<Digest>,
}

fn hash(digest: Option<&Digest>) -> String {
    digest.map_or_else(|| "no hash".to_owned(), |digest| format!("hash {digest}"))
}

/// The reasons why a transition was not accepted by the replica. Nothing was sent, and no number was used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// There is no state yet.
    #[error("the room is still being joined")]
    NotReady,
    /// The prediction conflicts: as far as is known here, the host would say the same.
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
    /// Returns the kind of refusal, as one word. These include the words of [`Rejection::kind`].
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
