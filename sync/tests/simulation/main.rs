//! The protocol over the simulated network, with a machine that has every feature. Each run follows from its seed alone.
//!
//! ```text
//! REAPPLY_SEEDS=100000 cargo test -p reapply-sync --test simulation    many runs
//! REAPPLY_SEED=17 cargo test -p reapply-sync --test simulation        one run again
//! ```

mod book;
mod machine;

use reapply_simulation::{Plan, simulate};

#[test]
fn everyone_agrees_and_nothing_is_lost_or_doubled() {
    let command = "cargo test -p reapply-sync --test simulation";
    simulate::<machine::Books>(&Plan { seeds: 1_500, seeds_covering: 1_000, never: &[], command });
}
