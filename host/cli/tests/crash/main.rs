//! The host's promises, tested by faults: the real binary is killed, cut off from power, starved of disk, and deceived by its
//! storage, while clients put it under load. A ledger outside of the host records its answers, for comparison with its data.
//!
//! ```text
//!  Crowd: clients (a Replica, a socket, a pace) ──▶ Host, a process ──▶ data directory ◀── Shim: failing calls
//!    │ what they were told                            ▲ kill -9,                │
//!    ▼                                                │ a crash point           │ a copy, after the end
//!  Ledger ◀───────────── audit ───────────────────────┴───────────────────── Stored
//! ```

#![cfg(target_os = "linux")]

mod asker;
mod client;
mod copies;
mod crowd;
mod failing;
mod full;
mod ledger;
mod long;
mod points;
mod power;
mod probe;
mod proof;
mod rounds;
mod storage;
mod stored;
mod upgrades;

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_reapply");

/// A rate at which only the host's own speed limits the clients.
const ARGUMENTS: [&str; 2] = ["--submits-per-second", "1000000"];

/// Returns the seed from the environment, or a new one, and prints it.
fn seed() -> u64 {
    let seed = std::env::var("REAPPLY_CRASH_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("REAPPLY_CRASH_SEED={seed}");
    seed
}
