//! Hosts rooms that run state machines: their lives, their logs, their upgrades, and an HTTP surface.
//!
//! A program that has rooms inside begins with [`host::Host`]; `examples/embedding` in the repository is a complete one.
//!
//! Read in this order: [`host`] (a whole host, put together), [`machines`] (the deployed builds), [`log`] (reading logs), [`room`] (a room's life),
//! [`upgrade`] (switching rooms to another build), [`archive`] (rooms as files), [`http`] (the surface). Below this crate are `reapply-machine`
//! (the sandbox), `reapply-journal` (the storage) and `reapply-sync` (the protocol). Above it is `reapply-cli` (the commands).

#![warn(missing_docs)]

/// The crates whose types appear in this one's.
pub use {reapply_journal, reapply_machine, reapply_sync};

pub mod archive;
mod background;
pub mod clock;
pub mod foreign;
pub mod host;
pub mod http;
pub mod log;
pub mod machines;
pub mod room;
pub mod system;
pub mod upgrade;
