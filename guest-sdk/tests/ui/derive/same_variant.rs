use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Todo {
    pub due_at: Atom<u32>,
    pub due__at: Atom<u32>,
}

fn main() {}
