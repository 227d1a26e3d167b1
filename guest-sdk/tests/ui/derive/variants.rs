use reapply_guest::{Atom, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
pub enum Shape {
    Nothing,
    Circle { radius: Atom<u32> },
    Square(Atom<u32>, Atom<u32>),
    Empty(),
    Become(Atom<u32>),
    Fine(Atom<u32>),
}

fn main() {}
