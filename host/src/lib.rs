//! Hosts rooms that run state machines: their lives, their logs, their upgrades, and an HTTP surface.
//!
//! Read in this order: [`host`] (all of it, put together), [`machines`] (the builds that are deployed), [`log`] (the one way through a log), [`room`] (a
//! room's life), [`upgrade`] (rooms that get another build), [`archive`] (files that people hold), [`http`] (the surface). Below are
//! `reapply-machine` (the sandbox), `reapply-journal` (the storage) and `reapply-sync` (the protocol); above is `reapply-cli` (the commands).

#![warn(missing_docs)]

pub mod archive;
mod background;
pub mod clock;
pub mod foreign;
pub mod host;
pub mod http;
pub mod log;
pub mod machines;
pub mod room;
pub mod upgrade;
