use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Node {
    pub label: Atom<String>,
    pub next: Atom<Option<Box<Self>>>,
    pub children: Atom<Vec<Node>>,
    pub fine: Atom<Vec<other::Node>>,
}

fn main() {}
