use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Clone, Serialize, JsonSchema, StateMachine)]
pub struct Todo<'a> {
    pub label: Atom<&'a str>,
}

fn main() {}
