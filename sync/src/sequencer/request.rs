//! A request of a participant, and its rejection; and inputs that are not decided yet.

use bytes::Bytes;

use crate::event::Input;
use crate::id::{Author, ClientId, Number, Seq, Timestamp};
use crate::machine::ApplyError;
use crate::message::Rejection;

/// A request of a participant.
#[derive(Clone, Debug)]
pub struct Submit {
    /// The participant who asks, as the host authenticated them.
    pub author: Author,
    /// The client from which they ask.
    pub client: ClientId,
    /// The client's number for the transition.
    pub number: Number,
    /// The last upgrade that the client's replica had followed, as of [`Sequencer::upgraded`](super::Sequencer::upgraded): it tells in whose
    /// encoding the transition is. After a later upgrade the transition is dropped, undecided: its replica is about to follow, and will submit
    /// it again.
    pub upgraded: Seq,
    /// The transition, in that build's encoding.
    pub transition: Bytes,
}

/// A rejection, which the client's session is told, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The participant who asked.
    pub author: Author,
    /// The client that asked.
    pub client: ClientId,
    /// The client's number for the transition.
    pub number: Number,
    /// The reason.
    pub why: Rejection,
    /// Whether the rejection was told before, and the client asked again.
    pub is_repeated: bool,
}

/// The reason why an input did not become an event.
pub(super) enum Undecided {
    /// The input was rejected, and so is decided.
    Rejected(ApplyError),
    /// The machine was interrupted, or its states are lost: the input must be decided later.
    Interrupted(Input),
}

/// An input that waits for the recovery of the states, with the clock and the random bits of its arrival.
#[derive(Debug)]
pub(super) struct Postponed {
    pub(super) input: Waiting,
    pub(super) now: Timestamp,
    pub(super) entropy: u64,
}

/// The inputs that can wait.
#[derive(Debug)]
pub(super) enum Waiting {
    Submit(Submit),
    Joined(Author),
    Left(Author),
}
