use reapply_guest::{StateMachine, machine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Todo;

#[machine(state_version = 1)]
impl StateMachine for Todo {
    type Transition = ();
    type Conflict = ();

    const STATE_VERSION: u32 = 2;

    fn apply(&self, _: &()) -> Result<Self, ()> {
        Ok(Self)
    }
}

fn main() {}
