//! The list's items have a version, which a room does not look at.

use reapply_guest::{Atom, List, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
#[machine(state_version = 2, migrate_from = Version1)]
struct Item {
    count: Atom<i32>,
}

#[derive(Deserialize)]
struct Version1 {
    count: Atom<u32>,
}

impl From<Version1> for Item {
    fn from(old: Version1) -> Self {
        Self { count: (*old.count as i32).into() }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
struct Items {
    items: List<Item>,
}

fn main() {}
