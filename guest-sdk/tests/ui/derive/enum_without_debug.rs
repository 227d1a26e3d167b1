use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
pub enum Answer {
    Words(Atom<String>),
}

fn main() {}
