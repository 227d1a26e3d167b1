//! Checks a machine before it is deployed.
//!
//! The check plays thousands of random histories. Transitions are made from the machine's own schema and its examples, and sent by several
//! participants, with alarms, joins and leaves, and with bytes that are not a transition. At every step the [`Rule`]s must
//! hold. A history that breaks one is made as short as possible, and can be replayed.
//!
//! In the machine's own crate it is one line of a test, with this crate among the `[dev-dependencies]`:
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
//! `reapply check` does the same to a component, in the host's own engine, and measures its fuel and memory. Tests of single rules use a
//! [`Room`].
//!
//! Reading order: [`Subject`] (the thing to check), [`Script`] (a history), `play` and `rules` (the steps and the requirements), `explore`
//! and `generate` (the choice of steps), `shrink`, [`Report`]; and beside them `migrate` (rooms of an earlier build) and `grow` (large
//! rooms).

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
mod player;
mod pool;
mod random;
mod report;
#[cfg(feature = "native")]
mod room;
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
#[cfg(feature = "native")]
pub use room::Room;
pub use script::{Act, Script, Step};
pub use subject::{Description, Limits, Subject, Usage};
pub use verdict::Rule;
