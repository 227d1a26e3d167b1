//! Storage: the data that a host keeps while it is off.
//!
//! A [`Journal`] keeps each room's log as [`Record`]s (a record is one batch of events), its snapshots, and the machines'
//! components. The trait is shaped by what every engine can promise, embedded or replicated:
//!
//! - an append names the head it expects, so the storage itself refuses a stale owner;
//! - an append may end [`Appended::Unknown`]; then the batch's id, unique to its writer, shows whether the batch is in the log;
//! - no event is ever changed. A log loses its beginning only if a snapshot replaces it ([`Journal::trim`]), and a room
//!   is removed only while it is unpublished ([`Journal::discard`]).
//!
//! [`sqlite`] is the embedded engine, the default. `conformance`, behind the feature of that name, has the requirements for every engine as tests.

#![warn(missing_docs)]

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod crash;
pub mod directory;
mod error;
mod hold;
mod journal;
mod record;
mod scrub;
pub mod sqlite;
mod stored;

pub use directory::OpenJournalError;
pub use error::JournalError;
pub use hold::{Hold, Holds};
pub use journal::{Answer, Journal};
pub use record::{Appended, Appending, BatchId, Record};
pub use scrub::ScrubReport;
pub use sqlite::{LostLog, Opened, Proving, SqliteJournal};
pub use stored::{
    Base, Component, MachineRecord, NewRoom, OpeningBytes, RejectionCount, Retention, RoomRecord, SnapshotRecord,
};
