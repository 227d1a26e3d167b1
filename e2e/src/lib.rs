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

pub use browser::{Browser, Key, Page};
pub use reapply_testing::{
    DEADLINE, Host, Proxy, Refused, component, http, npm_package, reapply, repository, typescript, until,
    until_blocking,
};
