//! The requirements for every engine, as tests: an engine's own tests call [`conformance!`](crate::conformance!) with a way to open it.
//!
//! Built for this crate's tests, and with the feature `conformance` for those of other crates. The name of a rule is its requirement. A rule panics
//! if a journal does not meet it.

#![allow(missing_docs, reason = "the name of a rule is its requirement")]
#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "these are tests")]

mod authors;
mod logs;
mod machines;
mod past;
mod rig;
mod rooms;
mod snapshots;
mod suite;

pub use authors::*;
pub use logs::*;
pub use machines::*;
pub use past::*;
pub use rig::*;
pub use rooms::*;
pub use snapshots::*;
