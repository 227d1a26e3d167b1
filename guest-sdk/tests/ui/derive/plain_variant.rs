use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub enum Answer {
    Words(Atom<String>),
    Number(u32),
}

fn main() {}
