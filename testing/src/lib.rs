//! The harness of all tests that see the host as its users do: it starts the real binary, and comes between it and its clients.
//!
//! ```text
//!  a test, a page ──▶ Proxy ──▶ Host (a process, a data directory)
//!                     holds back, cuts, restores
//! ```
//!
//! Nothing here waits for a while and hopes: everything waits for a condition ([`until`]), and says what it found instead when the
//! deadline passes. Whatever was started is stopped on drop; its logs are printed when the test failed.

#![warn(missing_docs)]

mod host;
pub mod http;
pub mod machine_wat;
mod npm;
mod program;
mod proxy;
mod wait;

pub use host::{Host, Refused};
pub use npm::{npm_package, typescript};
pub use program::{component, reapply, repository};
pub use proxy::Proxy;
pub use wait::{DEADLINE, until, until_blocking};
