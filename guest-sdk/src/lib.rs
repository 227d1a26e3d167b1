//! Write state machines for Reapply.
//!
//! A machine is a type that defines how a transition changes it. [`export!`] turns it into a component that hosts and browsers
//! both run. The same crate also compiles natively, so plain `cargo test` tests it.
//!
//! ```
//! use reapply_guest::{StateMachine, export};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
//! pub struct Light {
//!     on: bool,
//! }
//!
//! #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
//! pub enum Transition {
//!     TurnOn,
//!     TurnOff,
//! }
//!
//! #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
//! pub enum Conflict {
//!     Already { on: bool },
//! }
//!
//! impl StateMachine for Light {
//!     type Transition = Transition;
//!     type Conflict = Conflict;
//!
//!     fn apply(&self, transition: &Transition) -> Result<Self, Conflict> {
//!         let on = matches!(transition, Transition::TurnOn);
//!         if self.on == on { Err(Conflict::Already { on }) } else { Ok(Self { on }) }
//!     }
//! }
//!
//! export!(Light);
//!
//! # fn main() {
//! let light = Light::default().apply(&Transition::TurnOn).unwrap();
//! assert_eq!(light, Light { on: true });
//! assert_eq!(light.apply(&Transition::TurnOn), Err(Conflict::Already { on: true }));
//! # }
//! ```
//!
//! The crate of a machine has `crate-type = ["cdylib", "rlib"]` and depends on `reapply-guest`, `serde` and `schemars`.
//!
//! # Two kinds of machine
//!
//! - [`StateMachine`]: the result depends only on the state and the transition. Such machines compose.
//! - [`Program`]: transitions come with their event, so the machine knows who sent them and when. It can roll dice with the
//!   event's entropy, set alarms, take options at creation, and migrate old snapshots.
//!
//! Every `StateMachine` is a `Program` too. To add options or migrations, wrap it in a struct that implements `Program`.
//!
//! # Rules for machines
//!
//! `apply` makes a new state and leaves the old one alone, so there is never half a change to undo. Some rules remain:
//!
//! - **Use ordered collections only** (`Vec`, `BTreeMap`, `imbl::OrdMap`, ...). A `HashMap` iterates in another order after a
//!   restore than before it, and equal states must give equal bytes.
//! - **States and transitions travel as [postcard]**, which has no field names. Do not use serde's `untagged`, `flatten`,
//!   `tag` or `skip_serializing_if` in them. Conflicts, options and views are JSON and may use them.
//! - **Every element takes at least one byte.** Then the time and memory to read untrusted bytes is limited by their number. A list of
//!   units could claim any length: the host would stop the machine, and reject the transition as exhausted, not as malformed.
//! - **A recursive type is bounded.** `struct Comment { replies: Vec<Comment> }` is fine, up to [`NESTING_MAX`] lists, maps, structs
//!   and variants inside one another. An event that would make a deeper state is refused with the conflict
//!   `{"NestedTooDeep": {"max": 120}}`, which the schema lists. This check reads the whole state after each event. A `Map<Id, Comment>`
//!   whose comments name their parents has neither the bound nor the cost, and merges better.
//! - **Floats may be anything.** Bytes can hold infinities and NaNs, which JSON cannot express. Refuse a value that is not
//!   [finite](f64::is_finite) with a conflict, like any other invalid value.
//!
//! `reapply check` finds machines that break these rules.
//!
//! # Building blocks
//!
//! [`Atom`], [`AtomRc`] and [`Constant`] hold plain values. [`Counter`], [`Map`], [`Set`], [`List`] and [`Text`] hold data that several
//! people change at once. [`derive(StateMachine)`](macro@StateMachine) composes them.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod bindings;
#[doc(hidden)]
pub mod component;
pub mod contract;

mod blocks;
mod codec;
mod id;
mod json;
mod key;
mod limits;
mod micros;
mod nesting;
mod never;
mod owners;
mod panics;
mod program;
mod rng;
mod state_machine;

pub use blocks::*;
pub use codec::from_snapshot;
pub use id::{Id, ParseIdError};
pub use key::Key;
pub use limits::NESTING_MAX;
pub use micros::Micros;
pub use never::Never;
pub use owners::{Owners, OwnersConflict};
pub use program::{Alarm, Event, Input, NoOptions, Program};
pub use reapply_guest_macros::{StateMachine, machine};
pub use rng::Rng;
pub use state_machine::StateMachine;
