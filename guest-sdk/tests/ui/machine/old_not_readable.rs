use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
#[machine(state_version = 2, migrate_from = V1)]
pub struct Todo {
    pub label: Atom<String>,
}

pub struct V1;

impl From<V1> for Todo {
    fn from(_: V1) -> Self {
        Self { label: Atom::default() }
    }
}

fn main() {}
