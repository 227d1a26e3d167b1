//! A number that everyone in the room can change.

use reapply_guest::{StateMachine, export};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counter {
    pub count: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Transition {
    Increment(u32),
    Decrement(u32),
    Reset,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub enum Conflict {
    BelowZero,
    Overflow,
}

impl StateMachine for Counter {
    type Transition = Transition;
    type Conflict = Conflict;

    fn apply(&self, transition: &Transition) -> Result<Self, Conflict> {
        let count = match transition {
            Transition::Increment(by) => self.count.checked_add(*by).ok_or(Conflict::Overflow)?,
            Transition::Decrement(by) => self.count.checked_sub(*by).ok_or(Conflict::BelowZero)?,
            Transition::Reset => 0,
        };
        Ok(Self { count })
    }
}

export!(Counter);
