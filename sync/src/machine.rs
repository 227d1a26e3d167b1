//! The machine, as the protocol sees it: a sequencer and its replicas are generic over [`Machine`].

use bytes::Bytes;

use crate::event::Event;
use crate::id::Timestamp;

/// Runs one build of a machine. States are handles: dropping one frees it, and `apply` never changes the one it is given.
///
/// A [`Fault`] leaves the machine unusable, and every state it made with it, until [`Machine::reset`].
pub trait Machine {
    /// A handle to an immutable state.
    type State;

    /// The state of a new room. `options` is JSON; the empty string asks for the defaults.
    ///
    /// # Errors
    ///
    /// The machine refuses the options, or faults.
    fn create(&mut self, options: &str) -> Result<Self::State, LoadError>;

    /// The state that a snapshot holds; `state_version` is the version that wrote it.
    ///
    /// # Errors
    ///
    /// The machine refuses the snapshot, or faults.
    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<Self::State, LoadError>;

    /// The state after `event`.
    ///
    /// # Errors
    ///
    /// The machine refuses the event (then `state` stands as it was), or faults.
    fn apply(&mut self, state: &Self::State, event: &Event) -> Result<Self::State, ApplyError>;

    /// The state after an event that was accepted before: [`Machine::apply`] under budgets far wider than those that judged the event. What
    /// was accepted is never judged again, whatever a state costs after it was restored.
    ///
    /// # Errors
    ///
    /// As for [`Machine::apply`].
    fn reapply(&mut self, state: &Self::State, event: &Event) -> Result<Self::State, ApplyError> {
        self.apply(state, event)
    }

    /// The state as bytes: equal states give equal bytes.
    ///
    /// # Errors
    ///
    /// The machine faults.
    fn snapshot(&mut self, state: &Self::State) -> Result<Bytes, Fault>;

    /// The next alarm, if this state wants one.
    ///
    /// # Errors
    ///
    /// The machine faults.
    fn alarm(&mut self, state: &Self::State) -> Result<Option<Alarm>, Fault>;

    /// A transition's bytes, from its JSON.
    ///
    /// # Errors
    ///
    /// The JSON is no transition of this build, or the machine faults.
    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError>;

    /// A transition's JSON, from its bytes.
    ///
    /// # Errors
    ///
    /// The bytes are no transition of this build, or the machine faults.
    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError>;

    /// The version of the snapshots that this build writes.
    fn state_version(&self) -> u32;

    /// Whether participants' coming and going are events of its rooms.
    fn membership(&self) -> bool;

    /// Makes the machine usable again after a fault. Every state made before is lost.
    ///
    /// # Errors
    ///
    /// The machine cannot be started any more.
    fn reset(&mut self) -> Result<(), Fault>;

    /// Returns what all calls have cost since this was last asked, in units of about one instruction. A machine that counts nothing costs nothing.
    fn take_cost(&mut self) -> u64 {
        0
    }

    /// Breaks calls off, with a fault, once one has cost this much; with `None` they have the machine's own budgets. So the owner can make a call
    /// on a thread that others wait for, and make it once more elsewhere where it [was interrupted](Machine::is_interrupted).
    fn set_slice(&mut self, cost_max: Option<u64>) {
        let _ = cost_max;
    }

    /// Whether the last fault came of the slice alone: without one the call may succeed. After a [`Machine::reset`] there is no last fault.
    fn is_interrupted(&self) -> bool {
        false
    }
}

/// A transition that a state has scheduled for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// When it is due.
    pub at: Timestamp,
    /// What it applies then.
    pub transition: Bytes,
}

/// The machine's own "no": the state is as it was, and the machine is well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no transition of this machine.
    #[error("malformed transition: {0}")]
    Malformed(String),
    /// The machine's typed conflict, as JSON.
    #[error("conflict: {0}")]
    Conflict(String),
}

impl Refusal {
    /// What a machine answers when it is given an input that is the room's own: see [`Input::is_for_machine`](crate::Input::is_for_machine).
    #[must_use]
    pub fn not_for_machines() -> Self {
        Self::Malformed("this input is the room's own, and for no machine".to_owned())
    }
}

/// The machine broke off. It must be [reset](Machine::reset) before it is used again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It trapped: a panic, an overflow of its stack, an access out of bounds.
    #[error("the machine trapped: {0}")]
    Trapped(String),
    /// It used up what it may use of time or memory.
    #[error("the machine exhausted its {0}")]
    Exhausted(String),
}

/// Why an event was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The machine refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The machine broke off.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a state was not made from options or a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The machine refused the options or the snapshot, and says why.
    #[error("{0}")]
    Refused(String),
    /// The machine broke off.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a transition was not translated to or from JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The machine refused it, and says why.
    #[error("{0}")]
    Refused(String),
    /// The machine broke off.
    #[error(transparent)]
    Fault(#[from] Fault),
}
