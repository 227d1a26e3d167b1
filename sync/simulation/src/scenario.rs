//! What a run is about.

use std::fmt::Debug;

use bytes::Bytes;
use reapply_sync::{ApplyError, Event, Machine, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::random::Random;

/// A machine, what its participants do, and a naive model of it.
pub trait Scenario: Sized {
    /// The machine under simulation. The transitions that it is given are encoded [`Ask`]s.
    type Machine: Machine<State: Debug>;

    /// What a participant can ask for.
    type What: Clone + Debug + Serialize + DeserializeOwned;

    /// A state as the author of the scenario understands it, written without a look at the machine's own code.
    type Model: Clone + Debug;

    /// The machine's name.
    const NAME: &'static str;

    /// What one run is about, where runs differ.
    fn new(random: &mut Random) -> Self;

    /// The machine at one of its places.
    fn machine(&self, place: Place) -> Self::Machine;

    /// What a client asks for, given what its page shows; that may be nothing yet.
    fn act(&mut self, client: usize, shown: Option<&StateOf<Self>>, random: &mut Random) -> Self::What;

    /// Something of about that many bytes that every state takes, so that the log grows and snapshots come due.
    fn ballast(bytes: usize) -> Self::What;

    /// Changes a state where it stands, as a bug of the machine or of its engine would. Whether anything has changed.
    fn corrupt(&mut self, state: &StateOf<Self>, random: &mut Random) -> bool;

    /// The model of a new room.
    fn genesis() -> Self::Model;

    /// What `event` makes of `model`.
    ///
    /// # Errors
    ///
    /// What the machine would answer. An accepted event must not lead here.
    fn expected(model: &Self::Model, event: &Event) -> Result<Self::Model, ApplyError>;

    /// Whether `state` is all that the model says, and nothing else.
    fn agrees(model: &Self::Model, state: &StateOf<Self>) -> bool;

    /// When the alarm of a state is due, if it has one.
    fn alarm(model: &Self::Model) -> Option<Timestamp> {
        let _ = model;
        None
    }

    /// Checks what must hold of a state that a page shows, with what it has pending on top, by asserting it.
    fn check_shown(state: &StateOf<Self>) {
        let _ = state;
    }

    /// Checks what must hold of a whole history, by asserting it; `models` has the model after each seq, from 0. Answers how often what
    /// it looks for was there.
    fn check(history: &History<Self::What>, models: &[Self::Model]) -> Vec<(&'static str, u64)> {
        let _ = (history, models);
        Vec::new()
    }
}

/// The handle to a state of a scenario's machine.
pub type StateOf<S> = <<S as Scenario>::Machine as Machine>::State;

/// Where a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With the sequencer: its verdict counts.
    Host,
    /// With a replica, under wider limits.
    Replica,
}

/// A transition's bytes, in postcard. The nonce is unique in a run: it tells one submission from all others wherever it turns up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask<W> {
    /// Which submission this is.
    pub nonce: u64,
    /// What it asks for.
    pub what: W,
}

impl<W: Serialize + DeserializeOwned> Ask<W> {
    /// The transition's bytes.
    ///
    /// # Panics
    ///
    /// `W` is beyond postcard.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        postcard::to_allocvec(self).expect("what a scenario asks for can be encoded").into()
    }

    /// What the bytes ask for.
    ///
    /// # Errors
    ///
    /// They are no [`Ask`]; the text says why.
    pub fn decode(transition: &[u8]) -> Result<Self, String> {
        postcard::from_bytes(transition).map_err(|error| error.to_string())
    }
}
