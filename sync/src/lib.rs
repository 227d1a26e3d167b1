//! The Reapply protocol, pure: no sockets, no clock, no random numbers, no engine.
//!
//! A room has one [`Sequencer`], which decides what happened, and any number of [`Replica`]s, each of which
//! shows a participant at once what probably happened. Both run the same [`Machine`]. Time and randomness
//! are arguments, so one implementation serves the host, the browser, the native client and the simulator.
//!
//! ```text
//!  Replica::apply ──Submit──▶ Sequencer::handle_submit ──Batch──▶ journal
//!        ▲                                                           │ durable
//!        └────────Events─── History::read ◀── Sequencer::handle_appended
//! ```
//!
//! Read in this order: [`event`], [`machine`], [`message`], [`sequencer`], [`history`], [`replica`].

#![warn(missing_docs)]

pub mod clients;
pub mod event;
pub mod history;
pub mod id;
pub mod limits;
pub mod machine;
pub mod message;
mod pending;
pub mod replica;
pub mod sequencer;
pub mod snapshot;

pub use event::{Batch, Chain, Event, Genesis, Input};
pub use history::{History, Trimmed};
pub use id::{Author, ClientId, ClientKey, Digest, LogId, Name, NameError, Number, RoomId, Seq, SessionId, Timestamp};
pub use machine::{Alarm, ApplyError, Fault, LoadError, Machine, Refusal};
pub use message::{ClientMessage, Goodbye, Hello, Presence, Rejection, Resume, ServerMessage, Signal, Start, Welcome};
pub use replica::{Divergence, Outcome, Phase, Replica, SubmitError};
pub use sequencer::{OpenError, Rejected, Report, Sequencer, Submit};
pub use snapshot::Snapshot;

/// The WebSocket subprotocol that these messages make up. A change that an older peer cannot read gets a new name.
pub const SUBPROTOCOL: &str = "reapply.v1";
