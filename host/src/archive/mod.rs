//! Rooms as files: a room's log, its components and its snapshots, in one file.
//!
//! ```text
//!  Journal ──export──▶ file ──▶ Parts ──▶ verify ──▶ Proof
//!                                 │          └─────── import ──▶ Staging ──▶ Journal
//!                                 └─▶ Playback: any state again, event by event
//!  Journal ──fork───────────────────────────────────────────▶ Staging ──▶ Journal
//! ```
//!
//! An export can be proved by itself, without a host, a journal, or builds from elsewhere. Proving a live room means
//! proving its export, so there is only one way to do it.
//!
//! Reading order: [`mod@format`], [`part`], `write`, [`read`], [`parts`], [`verify()`], [`export()`], [`import()`], [`fork()`].

mod builds;
mod components;
mod export;
mod finding;
pub(crate) mod follow;
mod fork;
pub mod format;
mod import;
pub mod limits;
pub mod part;
pub mod parts;
mod playback;
pub mod read;
mod spool;
mod staging;
mod verify;
mod write;

pub use export::{ExportError, export};
pub use finding::Finding;
pub use fork::{Fork, fork};
pub use import::{ImportError, Imported, import};
pub use part::{Counts, Header};
pub use parts::{Part, Parts};
pub use playback::Playback;
pub use read::{ExportPosition, ReadError};
pub use verify::{Proof, Proven, VerifyError, verify};
