use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
#[machine(state_version = 2, migrate_from = V1)]
pub struct Todo {
    pub label: Atom<String>,
}

#[derive(Deserialize)]
pub struct V1;

impl TryFrom<V1> for Todo {
    type Error = ();

    fn try_from(_: V1) -> Result<Self, ()> {
        Err(())
    }
}

fn main() {}
