//! What the host promises, tried by faults: the real binary is killed, cut off from power, starved of disk, and lied to by its
//! storage, while clients press it. A ledger outside of it keeps what it said, and is held against what it then holds.
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
#[path = "../machine_wat/mod.rs"]
mod machine_wat;
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

/// So that the clients are held back by nothing but the host's own speed.
const ARGUMENTS: [&str; 2] = ["--submits-per-second", "1000000"];

/// The seed that the environment names, or a new one. It is printed.
fn seed() -> u64 {
    let seed = std::env::var("REAPPLY_CRASH_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("REAPPLY_CRASH_SEED={seed}");
    seed
}
