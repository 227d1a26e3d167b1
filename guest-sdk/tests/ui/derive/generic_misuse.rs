use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Pair<A, B> {
    pub left: A,
    pub right: B,
}

fn needs_machine(_: impl StateMachine) {}

fn uses(pair: Pair<Atom<u8>, u8>) {
    needs_machine(pair);
}

fn main() {}
