use reapply_guest::StateMachine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Unit;

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Empty {}

#[derive(Clone, Serialize, Deserialize, JsonSchema, StateMachine)]
pub enum Never {}

fn main() {}
