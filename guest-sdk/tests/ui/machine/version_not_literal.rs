use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
#[machine(state_version = VERSION)]
pub struct Todo {
    pub label: Atom<String>,
}

const VERSION: u32 = 1;

fn main() {}
