//! Costs of the machine's calls: how long making the states again would take, and whether the next call is likely to be cheap.

use crate::limits::{CALM_CALLS_MAX, CALM_CALLS_MIN, COST_CHEAP_MAX, TAIL_COST_RATIO};

/// What a room's machine has cost lately, as [`Machine::take_cost`](crate::Machine::take_cost) counts.
#[derive(Debug)]
pub(super) struct Costs {
    /// Cheap calls in a row, up to [`CALM_CALLS_MAX`].
    cheap_calls: u32,
    /// Cheap calls in a row after which the next one is taken for cheap. Each dear call doubles the number.
    cheap_calls_needed: u32,
    /// Cost of restoring the newest snapshot, as far as that is known.
    base: u64,
    /// Cost of the durable events after the newest snapshot, of those that are with the journal, and of those in the open batch.
    tail: u64,
    in_flight: u64,
    open: u64,
}

impl Costs {
    /// The costs of a room that was just opened, and whose machine is not known yet.
    pub(super) fn new(base: u64, tail: u64) -> Self {
        Self { cheap_calls: 0, cheap_calls_needed: CALM_CALLS_MIN, base, tail, in_flight: 0, open: 0 }
    }

    /// One call for a new event, or between events.
    pub(super) fn note_call(&mut self, cost: u64) {
        if cost > COST_CHEAP_MAX {
            self.note_dear_call();
            return;
        }
        self.cheap_calls = (self.cheap_calls + 1).min(CALM_CALLS_MAX);
        if self.cheap_calls == CALM_CALLS_MAX {
            self.cheap_calls_needed = CALM_CALLS_MIN;
        }
    }

    /// One call that cost more than a cheap one does, or was broken off.
    pub(super) fn note_dear_call(&mut self) {
        self.cheap_calls = 0;
        self.cheap_calls_needed = (self.cheap_calls_needed * 2).min(CALM_CALLS_MAX);
    }

    /// An event has joined the open batch.
    pub(super) fn note_event(&mut self, cost: u64) {
        self.open = self.open.saturating_add(cost);
    }

    pub(super) fn note_batch(&mut self) {
        self.in_flight = std::mem::take(&mut self.open);
    }

    pub(super) fn note_appended(&mut self) {
        self.tail = self.tail.saturating_add(std::mem::take(&mut self.in_flight));
    }

    pub(super) fn note_append_failed(&mut self) {
        (self.in_flight, self.open) = (0, 0);
    }

    /// There is a new base, which cost so much to write, and makes events that cost `tail` needless. Restoring costs about what writing does.
    pub(super) fn note_snapshot(&mut self, cost: u64, tail: u64) {
        (self.base, self.tail) = (cost, self.tail.saturating_sub(tail));
    }

    /// The cost of the durable events after the base.
    pub(super) fn tail(&self) -> u64 {
        self.tail
    }

    /// The states were made again.
    pub(super) fn note_recovery(&mut self, base: u64, tail: u64) {
        (self.base, self.tail) = (base, tail);
    }

    /// Whether the next call is likely to be as cheap as the last ones were.
    pub(super) fn is_calm(&self) -> bool {
        self.cheap_calls >= self.cheap_calls_needed
    }

    /// What the recovery that was just noted has cost, up to the durable state.
    pub(super) fn of_recovery(&self) -> u64 {
        self.base.saturating_add(self.tail)
    }

    /// Whether the recovery that was just noted was dear, and would be cheaper from a new snapshot.
    pub(super) fn was_recovery_dear(&self) -> bool {
        self.tail > self.base.max(COST_CHEAP_MAX)
    }

    /// Whether making the durable state again costs more than it may: what restoring costs anyway, some times over, or `cost_min`.
    pub(super) fn is_tail_dear(&self, cost_min: u64) -> bool {
        self.tail > self.base.saturating_mul(TAIL_COST_RATIO).max(cost_min)
    }

    /// The same for when the batch that is with the journal is durable.
    pub(super) fn is_next_tail_dear(&self, cost_min: u64) -> bool {
        let tail = self.tail.saturating_add(self.in_flight);
        tail > self.base.saturating_mul(TAIL_COST_RATIO).max(cost_min)
    }
}
