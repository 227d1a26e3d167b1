//! State machines that depend only on the state and the transition.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{restore_own_version, stored_bytes};
use crate::program::{Event, Input, NoOptions, Program};

/// Composable data: the effect of a transition depends only on the state.
///
/// [`export!`](crate::export) makes a machine of a type that is also [`Default`], which is the state of a new room. User interfaces
/// see the state itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state machine",
    note = "plain data becomes one in an atom: `Atom<{Self}>`",
    note = "a struct or an enum of machines becomes one with `#[derive(StateMachine)]`, besides Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema"
)]
pub trait StateMachine: Clone + Serialize + DeserializeOwned + JsonSchema + 'static {
    /// The type of transitions that participants send; usually an enum.
    type Transition: Clone + Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema;

    /// The type of conflicts, the reasons to refuse a transition; usually an enum.
    type Conflict: Clone + Debug + PartialEq + Serialize + JsonSchema;

    /// The version of the snapshots that this build writes; see [`machine`](macro@crate::machine).
    const STATE_VERSION: u32 = 1;

    /// Returns the state after `transition`. The current state does not change.
    ///
    /// # Errors
    ///
    /// The transition does not fit the state. The sender gets the conflict, and nothing changes.
    fn apply(&self, transition: &Self::Transition) -> Result<Self, Self::Conflict>;

    /// Returns the approximate number of bytes that the state takes in a snapshot. Collections check their bounds with it. It must
    /// depend on the state alone. By default the state is encoded and counted; building blocks and derived machines keep the sum.
    fn stored_bytes(&self) -> u64 {
        stored_bytes(self)
    }

    /// Returns the state that a snapshot holds. By default only this build's own version is accepted;
    /// [`machine`](macro@crate::machine) writes a version that migrates.
    ///
    /// # Errors
    ///
    /// The version is not known, or the bytes are not a snapshot.
    fn restore(snapshot: &[u8], state_version: u32) -> Result<Self, String> {
        restore_own_version(snapshot, state_version, Self::STATE_VERSION)
    }
}

impl<M: StateMachine + Default> Program for M {
    type Options = NoOptions;
    type Transition = M::Transition;
    type Conflict = M::Conflict;

    const STATE_VERSION: u32 = M::STATE_VERSION;

    fn apply(&self, event: &Event<M::Transition>) -> Result<Self, M::Conflict> {
        match &event.input {
            Input::Transition { transition, .. } | Input::Alarm(transition) => StateMachine::apply(self, transition),
            Input::Joined(_) | Input::Left(_) => Ok(self.clone()),
        }
    }

    fn restore(snapshot: &[u8], state_version: u32) -> Result<Self, String> {
        StateMachine::restore(snapshot, state_version)
    }
}
