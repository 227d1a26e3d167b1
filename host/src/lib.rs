//! Runs state machines: a host's rooms, its journal, its HTTP surface and its command line.
//!
//! Read in this order: [`machine`] (the sandbox), [`machines`] (the builds that are deployed), [`room`] (a room's life), [`upgrade`] (rooms that get another build),
//! [`journal`] (what is remembered), [`archive`] (files that people hold), [`http`] (the surface), [`cli`] (the commands of
//! `reapply`). The protocol itself is in `reapply-sync`.

#![warn(missing_docs)]

pub mod archive;
mod background;
pub mod cli;
pub mod clock;
mod crash;
pub mod foreign;
pub mod host;
pub mod http;
pub mod journal;
pub mod log;
pub mod machine;
pub mod machines;
pub mod room;
pub mod upgrade;
