//! Many runs of one scenario.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::scenario::Scenario;
use crate::world;

/// The number of runs of a scenario, and the situations that they must come across.
pub struct Plan<'a> {
    /// The number of runs in the normal test run. `REAPPLY_SEEDS` asks for another number, from `REAPPLY_FROM` on, and `REAPPLY_SEED` for one
    /// of them alone. With `REAPPLY_ALL` set, the other runs are tried even after one has failed.
    pub seeds: u64,
    /// The minimum number of runs after which every situation must have occurred.
    pub seeds_covering: u64,
    /// The situations that cannot occur here, or too seldom to be required, by their names among the counts.
    pub never: &'a [&'a str],
    /// The command that runs this test.
    pub command: &'a str,
}

/// Runs a scenario over its plan's seeds, and prints the situations that they came across.
///
/// # Panics
///
/// Panics if something is wrong. The failing seed and the command that repeats it are printed before.
pub fn simulate<S: Scenario>(plan: &Plan<'_>) {
    let seeds = match (variable("REAPPLY_SEED"), variable("REAPPLY_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, seeds) => {
            let from = variable("REAPPLY_FROM").unwrap_or(0);
            from..from + seeds.unwrap_or(plan.seeds)
        }
    };
    let tries_all = variable("REAPPLY_ALL").is_some();
    let mut failed = Vec::new();
    let is_covering = seeds.end - seeds.start >= plan.seeds_covering;
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds {
        let counts = match catch_unwind(AssertUnwindSafe(|| world::run::<S>(seed))) {
            Ok(counts) => counts,
            Err(panic) => {
                eprintln!("seed {seed} failed; run it again by");
                eprintln!("    REAPPLY_SEED={seed} {}", plan.command);
                if !tries_all {
                    resume_unwind(panic);
                }
                failed.push(seed);
                continue;
            }
        };
        for (name, count) in counts {
            *totals.entry(name).or_default() += count;
        }
    }
    assert!(failed.is_empty(), "{} seeds failed: {failed:?}", failed.len());
    for (name, total) in &totals {
        println!("{total:>10}  {name}");
    }
    let missed = totals.into_iter().filter(|(name, total)| *total == 0 && !plan.never.contains(name));
    let missed: Vec<_> = missed.map(|(name, _)| name).collect();
    assert!(missed.is_empty() || !is_covering, "no run of {} came across {missed:?}", S::NAME);
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}
