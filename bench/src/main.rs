//! Loads the real host over real sockets, and prints the measurements as markdown tables.
//!
//! ```text
//!  cases/*  ── one file for each part of the table: the load, and the measurement
//!     │
//!  session  ── a client that speaks `reapply.v2` without building states: it checks that events come in order, and counts
//!     │
//!  scan, socket ── the minimum that a client must do: frames are read in place, and its own go out in one write
//!
//!  host     ── the process under test: started, measured through /proc, ended
//!
//!  baseline ── the least that any host must do, as a process of its own that is measured beside the host
//! ```
//!
//! The client shares the processors with the host, so the host loses whatever the client uses; hence a client of its own. Every case also
//! checks the received data: each transition is confirmed exactly once and in order, and every reader gets every event.

mod baseline;
mod cases;
mod histogram;
mod host;
mod report;
mod scale;
mod scan;
mod session;
mod socket;
mod stored;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};

use crate::host::Bench;
use crate::scale::Scale;

/// Load a host with participants and print the measurements, as markdown.
#[derive(Debug, Parser)]
#[command(name = "reapply-bench")]
struct Args {
    /// Host program. By default, the one beside this program.
    #[arg(long, value_name = "FILE")]
    host_bin: Option<PathBuf>,
    /// Run everything at a small scale, to test that it works and not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Only these cases.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Case>,
    /// Number of runs of each case. The medians are printed.
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: usize,
    /// Duration of each load, in seconds.
    #[arg(long, value_name = "N", default_value_t = 4)]
    seconds: u64,
    /// More amounts of data for the case `l`, in GB, such as 20. The disk needs three times as much.
    #[arg(long, value_name = "GB", value_delimiter = ',')]
    start_gb: Vec<u64>,
    /// Serve as the baseline, with its log in this directory. The cases start it so.
    #[arg(long, value_name = "DIR", hide = true)]
    baseline: Option<PathBuf>,
}

/// The parts of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// The machine that this runs on: disk and loopback; and sizes.
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
    /// The building blocks by size, in time and in fuel.
    G,
    /// A long log.
    H,
    /// Waking a room that sleeps.
    I,
    /// A good room beside rooms that work as hard as they may.
    K,
    /// A start, by the amount of data.
    L,
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
    if let Some(directory) = &args.baseline {
        return baseline::serve(directory);
    }
    rlimit::increase_nofile_limit(u64::MAX).context("the number of open files cannot be raised")?;
    let host_bin = match &args.host_bin {
        Some(host_bin) => host_bin.clone(),
        None => std::env::current_exe()?.with_file_name("reapply"),
    };
    anyhow::ensure!(
        host_bin.is_file(),
        "there is no host at {}: build it with `cargo build --release -p reapply-cli`, or name it with --host-bin",
        host_bin.display()
    );
    let scale = Scale {
        runs: if args.quick { 1 } else { args.runs.max(1) },
        load_for: if args.quick { Duration::from_millis(200) } else { Duration::from_secs(args.seconds.max(1)) },
        quick: args.quick,
    };
    let is_wanted = |case| args.only.is_empty() || args.only.contains(&case);
    let bench = Bench::new(host_bin, scale)?;
    // One thread for the whole client: it leaves the other processor to the host, and needs no locks.
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
            cases::growth::run(&bench).context("(g)")?;
        }
        if is_wanted(Case::H) {
            cases::log::run(&bench).await.context("(h)")?;
        }
        if is_wanted(Case::I) {
            cases::wake::run(&bench).await.context("(i)")?;
        }
        if is_wanted(Case::K) {
            cases::crowding::run(&bench).await.context("(k)")?;
        }
        if is_wanted(Case::L) {
            cases::start::run(&bench, &args.start_gb).await.context("(l)")?;
        }
        Ok(())
    })
}
