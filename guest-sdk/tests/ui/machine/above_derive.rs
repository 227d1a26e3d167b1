use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[reapply_guest::machine(state_version = 1)]
#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Todo {
    pub label: Atom<String>,
}

fn main() {}
