//! The simulated network: replicas and a sequencer with a native machine, in virtual time, with everything that can go wrong
//! between them. Each run follows from its seed alone.
//!
//! ```text
//! REAPPLY_SEEDS=100000 cargo test -p reapply-sync --test simulation    many runs
//! REAPPLY_SEED=17 cargo test -p reapply-sync --test simulation        one run again
//! ```

mod auditor;
mod coverage;
mod machine;
mod network;
mod random;
mod room;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs in the normal test run.
const SEEDS: u64 = 1_500;

/// From so many runs on, everything that can happen is expected to have happened.
const SEEDS_COVERING: u64 = 1_000;

#[test]
fn everyone_agrees_and_nothing_is_lost_or_doubled() {
    let seeds = match (variable("REAPPLY_SEED"), variable("REAPPLY_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, seeds) => 0..seeds.unwrap_or(SEEDS),
    };
    let count = seeds.end - seeds.start;
    let mut totals: Vec<(&str, u64)> = Vec::new();
    for seed in seeds {
        let coverage = catch_unwind(AssertUnwindSafe(|| world::run(seed))).unwrap_or_else(|panic| {
            eprintln!("seed {seed} failed; run it again by");
            eprintln!("    REAPPLY_SEED={seed} cargo test -p reapply-sync --test simulation");
            resume_unwind(panic)
        });
        totals.resize(coverage.counts().len(), ("", 0));
        for (total, (name, count)) in totals.iter_mut().zip(coverage.counts()) {
            *total = (name, total.1 + count);
        }
    }
    for (name, total) in &totals {
        println!("{total:>10}  {name}");
        assert!(count < SEEDS_COVERING || *total > 0, "no run came across this: {name}");
    }
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
