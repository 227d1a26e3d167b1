use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Todo {
    pub label: Atom<String>,
}

fn main() {}
