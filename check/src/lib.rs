//! Proves a machine right before it is deployed.
//!
//! Thousands of random histories are played on it: transitions made from the machine's own schema and from the examples in it, by several
//! participants, with alarms, with joining and leaving, and with bytes that are no transition at all. At every step the [`Rule`]s must
//! hold. Where one does not, the history is made as short as it gets, and can be played again.
//!
//! In the machine's own crate it is one line of a test, once this crate is among its `[dev-dependencies]`:
//!
//! ```
//! # use reapply_guest::StateMachine;
//! # use schemars::JsonSchema;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
//! # struct Counter(i32);
//! # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
//! # enum Transition { Add(i32) }
//! # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
//! # enum Conflict { Overflow }
//! # impl StateMachine for Counter {
//! #     type Transition = Transition;
//! #     type Conflict = Conflict;
//! #     fn apply(&self, Transition::Add(number): &Transition) -> Result<Self, Conflict> {
//! #         self.0.checked_add(*number).map(Self).ok_or(Conflict::Overflow)
//! #     }
//! # }
//! // #[test]
//! fn every_rule_holds() {
//!     reapply_check::check::<Counter>().histories(500).assert();
//! }
//! # every_rule_holds();
//! ```
//!
//! `reapply check` does the same to a component, in the engine that hosts run it in, and measures its fuel and memory.
//!
//! Read in this order: [`Subject`] (what is checked), [`Script`] (a history), `play` and `rules` (what is done and what must hold), `explore`
//! and `generate` (what is tried), `shrink`, [`Report`]; and beside them `migrate` (rooms of an earlier build) and `grow` (large rooms).

mod check;
mod contract;
mod explore;
mod failure;
mod generate;
mod grow;
mod kinds;
mod migrate;
#[cfg(feature = "native")]
mod native;
mod pattern;
mod play;
mod pool;
mod random;
mod report;
mod rules;
mod scalars;
mod schema;
mod script;
mod shrink;
mod subject;
mod validate;
mod verdict;

pub use check::{Check, HISTORIES, LENGTH, SEED, TIME_MAX};
pub use failure::Failure;
pub use grow::{GROW_EVENTS, Growth};
pub use migrate::Migrations;
#[cfg(feature = "native")]
pub use native::{Native, check};
pub use report::{Count, Figures, Kind, Pair, Report};
pub use script::{Act, Script, Step};
pub use subject::{Description, Limits, Subject, Usage};
pub use verdict::Rule;
