use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
#[machine(state_version = 4)]
pub struct Todo {
    pub label: Atom<String>,
}

fn main() {}
