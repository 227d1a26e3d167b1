//! The running binary, over real HTTP and WebSockets: its answers to good and bad input.

mod access;
mod alarms;
mod backups;
mod budget;
mod causes;
mod clock;
mod components;
mod crowding;
mod data;
mod deploy;
mod doors;
mod exports;
mod faults;
mod fixtures;
mod forged_exports;
mod frames;
mod front;
mod life;
mod live_damage;
mod log;
mod make_fixture;
mod many_builds;
mod names;
mod newcomers;
mod overfull;
mod pipes;
mod presence;
mod replays;
mod reports;
mod retention;
mod rooms;
mod session;
mod sleeping;
mod stopping;
#[cfg(target_os = "linux")]
mod threads;
mod troubles;
mod unrestorable;

use std::path::Path;

use reapply_testing::Host;

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_reapply");

/// Starts a host that runs the counter.
fn counter_host(arguments: &[&str]) -> Host {
    let host = Host::start_program(Path::new(PROGRAM), arguments);
    host.deploy("counter");
    host
}

/// Returns `Increment(by)` in the counter's own encoding, for a small `by`.
fn increment(by: u8) -> Vec<u8> {
    vec![0, by]
}
