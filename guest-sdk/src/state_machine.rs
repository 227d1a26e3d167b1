//! State machines of which the state and the transition say everything.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::program::{Event, Input, NoOptions, Program};

/// Composable data: what a transition does to it depends on nothing but its state.
///
/// [`export!`](crate::export) makes a machine of it where it is also [`Default`], the state of a new room. User interfaces
/// see the state itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state machine",
    note = "implement `reapply_guest::StateMachine` for it, and derive what that asks for: Clone, Serialize, Deserialize, JsonSchema"
)]
pub trait StateMachine: Clone + Serialize + DeserializeOwned + JsonSchema + 'static {
    /// What participants may ask for; usually an enum.
    type Transition: Serialize + DeserializeOwned + JsonSchema;

    /// Why a transition cannot be applied to a state; usually an enum.
    type Conflict: Serialize + JsonSchema;

    /// The state after `transition`. This one stays as it is.
    ///
    /// # Errors
    ///
    /// The transition does not fit the state. Whoever asked for it is told, and nothing has changed.
    fn apply(&self, transition: &Self::Transition) -> Result<Self, Self::Conflict>;
}

impl<M: StateMachine + Default> Program for M {
    type Options = NoOptions;
    type Transition = M::Transition;
    type Conflict = M::Conflict;

    fn apply(&self, event: &Event<M::Transition>) -> Result<Self, M::Conflict> {
        match &event.input {
            Input::Transition { transition, .. } | Input::Alarm(transition) => StateMachine::apply(self, transition),
            Input::Joined(_) | Input::Left(_) => Ok(self.clone()),
        }
    }
}
