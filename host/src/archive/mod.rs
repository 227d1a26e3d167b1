//! Files that people hold: a room's log with the components that made it and the snapshots that were taken of it, in one file.
//!
//! ```text
//!  Journal ──export──▶ file ──▶ Parts ──▶ verify ──▶ Proof
//!                                 │          └─────── import ──▶ Staging ──▶ Journal
//!                                 └─▶ Playback: any state again, event by event
//!  Journal ──fork───────────────────────────────────────────▶ Staging ──▶ Journal
//! ```
//!
//! An export needs nothing but itself to be proved: no host, no journal, no build that is kept elsewhere. Proving a room that lives
//! is proving its export, so there is one way to do it.
//!
//! Read in this order: [`mod@format`], [`part`], `write`, [`read`], [`parts`], [`verify()`], [`export()`], [`import()`], [`fork()`].

mod builds;
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
pub use read::{Place, ReadError};
pub use verify::{Proof, Proven, VerifyError, verify};
