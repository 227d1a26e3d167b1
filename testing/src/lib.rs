//! The harness of all tests that see the host as its users do: it starts the real binary, and comes between it and its clients.
//!
//! ```text
//!  a test, a page ──▶ Proxy ──▶ Host (a process, a data directory)
//!                     holds back, cuts, restores
//! ```
//!
//! A [`Session`] is the one native client that keeps no state, over a [`Socket`]. Where a test needs states, it puts a replica over a `Socket`.
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
mod session;
mod socket;
pub mod threads;
mod wait;

pub use host::{Host, Refused};
pub use npm::{npm_package, typescript};
pub use program::{component, other_build, reapply, repository};
pub use proxy::Proxy;
pub use session::Session;
pub use socket::Socket;
pub use tokio_tungstenite::tungstenite::Message;
pub use wait::{DEADLINE, until, until_blocking};
