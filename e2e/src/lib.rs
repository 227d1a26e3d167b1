//! Starts the real host and a real browser, and a proxy between them: the harness of the tests that see the product as its users do.
//!
//! ```text
//!  Browser ── Page, Page ──▶ Proxy ──▶ Host (a process, a data directory)
//!                            holds back, cuts, restores
//! ```
//!
//! Nothing here sleeps and hopes: everything waits for a condition ([`until`]), and reports the actual state when the
//! deadline passes. Everything that was started is stopped on drop; its logs are printed when the test failed.

#![warn(missing_docs)]

mod browser;
mod driver;
mod host;
pub mod http;
mod npm;
mod program;
mod proxy;
mod wait;

pub use browser::{Browser, Key, Page};
pub use host::{Host, Refused};
pub use npm::npm_package;
pub use program::{component, reapply, repository};
pub use proxy::Proxy;
pub use wait::{DEADLINE, until, until_blocking};
