//! Loads the real host over real sockets, and prints what it measured as markdown tables.
//!
//! ```text
//!  cases/*  ── one file for each part of the table: what is loaded, and what is measured
//!     │
//!  session  ── a client that speaks `reapply.v2`, but builds no states: it proves that events come in order, and counts
//!     │
//!  scan, socket ── the least that a client must do: the host's frames are read in place, and its own go out in one write
//!
//!  host     ── the process under test: started, measured through /proc, ended
//! ```
//!
//! The client shares the processors with the host, so whatever it spends is missing there; hence a client of its own. Every case also
//! checks what it received: each transition is confirmed exactly once and in order, and every reader gets every event.

mod cases;
mod histogram;
mod host;
mod report;
mod scan;
mod session;
mod socket;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};

use crate::host::Bench;

/// Loads a host with participants and prints what it measured, as markdown.
#[derive(Debug, Parser)]
#[command(name = "reapply-bench")]
struct Args {
    /// The host's program. By default the one beside this program.
    #[arg(long, value_name = "FILE")]
    host_bin: Option<PathBuf>,
    /// A small run of everything: whether it is right, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Only these cases.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Case>,
    /// How often each case is run. The medians are printed.
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: usize,
    /// How long each load goes on, in seconds.
    #[arg(long, value_name = "N", default_value_t = 4)]
    seconds: u64,
}

/// The parts of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// The machine that this runs on: disk, loopback; and sizes.
    Basis,
    /// One writer, one transition at a time.
    A,
    /// Accepted durable transitions per second.
    B,
    /// Fan-out to many readers.
    C,
    /// Joining a large room.
    D,
    /// Memory.
    E,
    /// The sandbox against native code.
    F,
    /// The building blocks by size.
    G,
    /// A long log.
    H,
    /// Waking a room that sleeps.
    I,
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// How often each case is run.
    runs: usize,
    /// How long a load goes on.
    load_for: Duration,
    /// Small numbers of everything, where a case has numbers of its own.
    quick: bool,
}

impl Scale {
    /// `full`, or `quick` in a quick run.
    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reapply-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let host_bin = match &args.host_bin {
        Some(host_bin) => host_bin.clone(),
        None => std::env::current_exe()?.with_file_name("reapply"),
    };
    anyhow::ensure!(
        host_bin.is_file(),
        "there is no host at {}: build it with `cargo build --release -p reapply-host`, or name it with --host-bin",
        host_bin.display()
    );
    let scale = Scale {
        runs: if args.quick { 1 } else { args.runs.max(1) },
        load_for: if args.quick { Duration::from_millis(200) } else { Duration::from_secs(args.seconds.max(1)) },
        quick: args.quick,
    };
    let is_wanted = |case| args.only.is_empty() || args.only.contains(&case);
    let bench = Bench::new(host_bin, scale)?;
    // One thread for all of the client: it leaves the other processor to the host, and needs no locks.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if is_wanted(Case::Basis) {
            cases::basis::run(&bench).await.context("basis")?;
        }
        if is_wanted(Case::A) {
            cases::confirm::run(&bench).await.context("(a)")?;
        }
        if is_wanted(Case::B) {
            cases::throughput::run(&bench).await.context("(b)")?;
        }
        if is_wanted(Case::C) {
            cases::fan_out::run(&bench).await.context("(c)")?;
        }
        if is_wanted(Case::D) {
            cases::join::run(&bench).await.context("(d)")?;
        }
        if is_wanted(Case::E) {
            cases::memory::run(&bench).await.context("(e)")?;
        }
        if is_wanted(Case::F) {
            cases::apply::run(&bench).context("(f)")?;
        }
        if is_wanted(Case::G) {
            cases::blocks::run(&bench).context("(g)")?;
        }
        if is_wanted(Case::H) {
            cases::log::run(&bench).await.context("(h)")?;
        }
        if is_wanted(Case::I) {
            cases::wake::run(&bench).await.context("(i)")?;
        }
        Ok(())
    })
}
