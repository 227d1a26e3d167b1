//! Runs state machines: rooms, their journal, HTTP and WebSocket, and the command line.

#![warn(missing_docs)]

pub mod cli;
pub mod journal;
pub mod machine;
