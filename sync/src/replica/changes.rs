//! The changes that the optimistic state does not show.

use crate::limits::{REBASE_ALWAYS_MAX, REBASE_PER_CHANGE};

/// The changes by which the optimistic state is behind.
#[derive(Debug)]
pub(super) struct Changes {
    /// The number of events and decisions that the optimistic state does not show.
    count: usize,
    /// The number of pending transitions up to which any change calls for a rebase.
    pub(super) rebase_always_max: usize,
}

impl Default for Changes {
    fn default() -> Self {
        Self { count: 0, rebase_always_max: REBASE_ALWAYS_MAX }
    }
}

impl Changes {
    /// Notes one more event or decision.
    pub(super) fn note(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// Notes that the optimistic state is gone, or is based on another confirmed state.
    pub(super) fn note_all(&mut self) {
        self.count = usize::MAX;
    }

    /// Returns whether there are any.
    pub(super) fn are_any(&self) -> bool {
        self.count > 0
    }

    /// Returns whether they are worth a rebase of this many pending transitions.
    pub(super) fn call_for_rebase(&self, pending: usize) -> bool {
        let are_many = pending <= self.count.saturating_mul(REBASE_PER_CHANGE);
        self.are_any() && (pending <= self.rebase_always_max || are_many)
    }

    /// Forgets all changes. Returns whether there were any.
    pub(super) fn take(&mut self) -> bool {
        std::mem::take(&mut self.count) > 0
    }
}
