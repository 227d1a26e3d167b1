//! The scale of a run: of every case, and of each load.

use std::time::Duration;

/// The scale of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// The number of runs of each case.
    pub(crate) runs: usize,
    /// The duration of a load.
    pub(crate) load_for: Duration,
    /// Small numbers of everything, if a case has numbers of its own.
    pub(crate) quick: bool,
}

impl Scale {
    /// Returns `full`, or `quick` in a quick run.
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}
