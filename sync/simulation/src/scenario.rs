//! The subject of a run.

use std::fmt::Debug;

use bytes::Bytes;
use reapply_sync::{ApplyError, Event, Machine, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::random::Random;

/// A machine, the actions of its participants, and a naive model of it.
pub trait Scenario: Sized {
    /// The machine under simulation. Its transitions are encoded [`Ask`]s.
    type Machine: Machine<State: Debug>;

    /// The type of participants' transitions.
    type What: Clone + Debug + Serialize + DeserializeOwned;

    /// The state as the author of the scenario understands it, written independently of the machine's own code.
    type Model: Clone + Debug;

    /// The machine's name.
    const NAME: &'static str;

    /// Returns the subject of one run, if runs differ.
    fn new(random: &mut Random) -> Self;

    /// Returns the machine for one of its places.
    fn machine(&self, place: Place) -> Self::Machine;

    /// Returns the next transition of a client, given its page's view; `None` if there is nothing to send yet.
    fn act(&mut self, client: usize, shown: Option<&StateOf<Self>>, random: &mut Random) -> Self::What;

    /// Returns a transition of about that many bytes that every state accepts, so that the log grows and snapshots come due.
    fn ballast(bytes: usize) -> Self::What;

    /// Changes a state in place, as a bug of the machine or of its engine would. Returns whether anything has changed.
    fn corrupt(&mut self, state: &StateOf<Self>, random: &mut Random) -> bool;

    /// Returns the model of a new room.
    fn genesis() -> Self::Model;

    /// Applies `event` to `model`.
    ///
    /// # Errors
    ///
    /// The event conflicts; the error is the machine's expected answer. This must not happen for an accepted event.
    fn expected(model: &Self::Model, event: &Event) -> Result<Self::Model, ApplyError>;

    /// Returns whether `state` equals the model exactly.
    fn agrees(model: &Self::Model, state: &StateOf<Self>) -> bool;

    /// Returns the time when the alarm of a state is due, if it has one.
    fn alarm(model: &Self::Model) -> Option<Timestamp> {
        let _ = model;
        None
    }

    /// Checks, by assertions, the conditions on a state that a page shows, with its pending transitions on top.
    fn check_shown(state: &StateOf<Self>) {
        let _ = state;
    }

    /// Checks, by assertions, the conditions on a whole history; `models` has the model after each seq, from 0. Returns the counts of the
    /// situations that it looks for, by name.
    fn check(history: &History<Self::What>, models: &[Self::Model]) -> Vec<(&'static str, u64)> {
        let _ = (history, models);
        Vec::new()
    }
}

/// The handle to a state of a scenario's machine.
pub type StateOf<S> = <<S as Scenario>::Machine as Machine>::State;

/// The place where a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With the sequencer: its verdict counts.
    Host,
    /// With a replica, under wider limits.
    Replica,
}

/// A transition's content, in postcard. The nonce is unique in a run: it distinguishes one submission from all others wherever it appears.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask<W> {
    /// The nonce of the submission.
    pub nonce: u64,
    /// The transition.
    pub what: W,
}

impl<W: Serialize + DeserializeOwned> Ask<W> {
    /// Returns the transition's bytes.
    ///
    /// # Panics
    ///
    /// postcard cannot encode `W`.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        postcard::to_allocvec(self).expect("what a scenario asks for can be encoded").into()
    }

    /// Returns the transition in the bytes.
    ///
    /// # Errors
    ///
    /// The bytes are not an [`Ask`]; the text says why.
    pub fn decode(transition: &[u8]) -> Result<Self, String> {
        postcard::from_bytes(transition).map_err(|error| error.to_string())
    }
}
