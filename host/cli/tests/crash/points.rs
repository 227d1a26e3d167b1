//! The points of `host/journal/src/crash.rs` where the host is crashed, and the actions that lead it there.

use rand::RngExt;
use rand::rngs::StdRng;

/// A crash point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) name: &'static str,
    pub(crate) reached: Reached,
    /// The crash is at one of this many passes.
    passes_max: u64,
}

/// The time when the host reaches a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// By itself, under load.
    UnderLoad,
    /// In a deployment.
    AtDeployment,
    /// In an upgrade.
    AtUpgrade,
    /// When a room is forked.
    AtFork,
    /// In a backup.
    AtBackup,
    /// In a start that follows a crash.
    AtStart,
}

/// Every point.
pub(crate) const POINTS: [Point; 14] = [
    Point { name: "before-commit", reached: Reached::UnderLoad, passes_max: 300 },
    Point { name: "committed-not-told", reached: Reached::UnderLoad, passes_max: 300 },
    Point { name: "snapshot-half-stored", reached: Reached::UnderLoad, passes_max: 4 },
    Point { name: "snapshot-stored", reached: Reached::UnderLoad, passes_max: 4 },
    Point { name: "log-half-moved", reached: Reached::UnderLoad, passes_max: 1 },
    Point { name: "component-stored", reached: Reached::AtDeployment, passes_max: 1 },
    Point { name: "upgrade-not-stored", reached: Reached::AtUpgrade, passes_max: 1 },
    Point { name: "upgraded-no-snapshot", reached: Reached::AtUpgrade, passes_max: 1 },
    Point { name: "staged-not-published", reached: Reached::AtFork, passes_max: 1 },
    Point { name: "backup-half-made", reached: Reached::AtBackup, passes_max: 1 },
    Point { name: "trim-half-done", reached: Reached::UnderLoad, passes_max: 4 },
    Point { name: "proved-not-mended", reached: Reached::AtStart, passes_max: 1 },
    Point { name: "mended-not-served", reached: Reached::AtStart, passes_max: 1 },
    Point { name: "mark-half-set", reached: Reached::AtStart, passes_max: 1 },
];

impl Point {
    /// Returns one of its passes, in the form for the host's environment.
    pub(crate) fn setting(&self, rng: &mut StdRng) -> String {
        format!("{}:{}", self.name, rng.random_range(1..=self.passes_max))
    }
}
