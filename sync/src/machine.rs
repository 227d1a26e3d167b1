//! The machine as the protocol sees it: a sequencer and its replicas are generic over [`Machine`].

use bytes::Bytes;

use crate::event::Event;
use crate::id::Timestamp;

/// A running build of a machine. States are handles: dropping one frees it, and `apply` never changes its argument.
///
/// A [`Fault`] makes the machine and all of its states unusable until [`Machine::reset`].
pub trait Machine {
    /// A handle to an immutable state.
    type State;

    /// Returns the state of a new room. `options` is JSON; the empty string means the defaults.
    ///
    /// # Errors
    ///
    /// The machine refuses the options, or faults.
    fn create(&mut self, options: &str) -> Result<Self::State, LoadError>;

    /// Returns the state that a snapshot holds; `state_version` is the version that wrote it.
    ///
    /// # Errors
    ///
    /// The machine refuses the snapshot, or faults.
    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<Self::State, LoadError>;

    /// Returns the state after `event`.
    ///
    /// # Errors
    ///
    /// The machine refuses the event (then `state` has not changed), or faults.
    fn apply(&mut self, state: &Self::State, event: &Event) -> Result<Self::State, ApplyError>;

    /// Returns the state after an event that was accepted before: [`Machine::apply`] under much wider limits than those that judged the
    /// event. An accepted event is never judged again, whatever a state costs after it was restored.
    ///
    /// # Errors
    ///
    /// The same as for [`Machine::apply`].
    fn reapply(&mut self, state: &Self::State, event: &Event) -> Result<Self::State, ApplyError> {
        self.apply(state, event)
    }

    /// Returns the state as bytes: equal states give equal bytes.
    ///
    /// # Errors
    ///
    /// The machine faults.
    fn snapshot(&mut self, state: &Self::State) -> Result<Bytes, Fault>;

    /// Returns the next alarm, if this state sets one.
    ///
    /// # Errors
    ///
    /// The machine faults.
    fn alarm(&mut self, state: &Self::State) -> Result<Option<Alarm>, Fault>;

    /// Converts a transition from JSON to bytes.
    ///
    /// # Errors
    ///
    /// The JSON is not a transition of this build, or the machine faults.
    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError>;

    /// Converts a transition from bytes to JSON.
    ///
    /// # Errors
    ///
    /// The bytes are not a transition of this build, or the machine faults.
    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError>;

    /// Returns the version of the snapshots that this build writes.
    fn state_version(&self) -> u32;

    /// Returns whether participants who come and go cause events in its rooms.
    fn membership(&self) -> bool;

    /// Makes the machine usable again after a fault. Every state made before is lost.
    ///
    /// # Errors
    ///
    /// The machine cannot be started again.
    fn reset(&mut self) -> Result<(), Fault>;

    /// Returns the cost of all calls since the last time it was asked, in units of about one instruction. A machine that does not count returns
    /// 0.
    fn take_cost(&mut self) -> u64 {
        0
    }

    /// Returns the bytes of memory that the machine holds, for limits. A machine that does not know returns 0.
    fn memory_bytes(&self) -> usize {
        0
    }

    /// Breaks off calls, with a fault, once one has cost this much. With `None`, calls have the machine's own budgets. So the owner can make a
    /// call on a thread that others wait for, and make the call again elsewhere if it [was interrupted](Machine::is_interrupted).
    fn set_slice(&mut self, cost_max: Option<u64>) {
        let _ = cost_max;
    }

    /// Returns whether the last fault came from the slice alone: without a slice the call may succeed. After a [`Machine::reset`] there is no
    /// last fault.
    fn is_interrupted(&self) -> bool {
        false
    }
}

/// A transition that a state schedules for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// The time when it is due.
    pub at: Timestamp,
    /// The transition to apply then.
    pub transition: Bytes,
}

/// The machine's own "no": the state has not changed, and the machine has not faulted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are not a transition of this machine.
    #[error("malformed transition: {0}")]
    Malformed(String),
    /// The machine's typed conflict, as JSON.
    #[error("conflict: {0}")]
    Conflict(String),
}

impl Refusal {
    /// Returns the refusal of a machine that is given one of the room's own inputs: see
    /// [`Input::is_for_machine`](crate::Input::is_for_machine).
    #[must_use]
    pub fn not_for_machines() -> Self {
        Self::Malformed("this input is the room's own, and for no machine".to_owned())
    }
}

/// The error of a machine that broke off. It must be [reset](Machine::reset) before it is used again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The machine trapped: a panic, a stack overflow, an access out of bounds.
    #[error("the machine trapped: {0}")]
    Trapped(String),
    /// The machine exhausted its limit of time or memory.
    #[error("the machine exhausted its {0}")]
    Exhausted(String),
}

/// The reasons why an event was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The machine refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The machine broke off.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The reasons why a state was not made from options or a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The machine refused the options or the snapshot, with a reason.
    #[error("{0}")]
    Refused(String),
    /// The machine broke off.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The reasons why a transition was not translated to or from JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The machine refused it, with a reason.
    #[error("{0}")]
    Refused(String),
    /// The machine broke off.
    #[error(transparent)]
    Fault(#[from] Fault),
}
