//! Costs of the machine's calls: how long a recovery of the states would take, and whether the next call is likely to be cheap.

use crate::limits::{CALM_CALLS_MAX, CALM_CALLS_MIN, COST_CHEAP_MAX, SNAPSHOT_COST_RATIO, TAIL_COST_RATIO};

/// The recent costs of a room's machine, as [`Machine::take_cost`](crate::Machine::take_cost) counts.
#[derive(Debug)]
pub(super) struct Costs {
    /// The number of cheap calls in a row, up to [`CALM_CALLS_MAX`].
    cheap_calls: u32,
    /// The number of cheap calls in a row after which the next one is assumed to be cheap. Each expensive call doubles the number.
    cheap_calls_needed: u32,
    /// The cost of restoring the newest snapshot, as far as it is known.
    base: u64,
    /// The cost of the durable events after the newest snapshot; below, of the events that are with the journal, and of those in the open
    /// batch.
    tail: u64,
    in_flight: u64,
    open: u64,
}

impl Costs {
    /// Returns the costs of a room that was just opened. Nothing is known yet of its machine's calls.
    pub(super) fn new(base: u64, tail: u64) -> Self {
        Self { cheap_calls: 0, cheap_calls_needed: CALM_CALLS_MIN, base, tail, in_flight: 0, open: 0 }
    }

    /// Notes one call for a new event, or between events.
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

    /// Notes one call that cost more than a cheap one, or was broken off.
    pub(super) fn note_dear_call(&mut self) {
        self.cheap_calls = 0;
        self.cheap_calls_needed = (self.cheap_calls_needed * 2).min(CALM_CALLS_MAX);
    }

    /// Notes that an event has joined the open batch.
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

    /// Notes a new base. It cost `cost` to write, and makes events that cost `tail` unnecessary. Restoring it costs about as much as writing
    /// it.
    pub(super) fn note_snapshot(&mut self, cost: u64, tail: u64) {
        (self.base, self.tail) = (cost, self.tail.saturating_sub(tail));
    }

    /// Returns the cost of the durable events after the base.
    pub(super) fn tail(&self) -> u64 {
        self.tail
    }

    /// Returns the same for the time when the batch that is with the journal is durable.
    pub(super) fn next_tail(&self) -> u64 {
        self.tail.saturating_add(self.in_flight)
    }

    /// Notes that the states were recovered.
    pub(super) fn note_recovery(&mut self, base: u64, tail: u64) {
        (self.base, self.tail) = (base, tail);
    }

    /// Returns whether the next call is likely to be as cheap as the last ones were.
    pub(super) fn is_calm(&self) -> bool {
        self.cheap_calls >= self.cheap_calls_needed
    }

    /// Returns the cost of the recovery that was just noted, up to the durable state.
    pub(super) fn of_recovery(&self) -> u64 {
        self.base.saturating_add(self.tail)
    }

    /// Returns whether the recovery that was just noted was expensive, and would be cheaper from a new snapshot.
    pub(super) fn was_recovery_dear(&self) -> bool {
        self.tail > self.base.max(COST_CHEAP_MAX)
    }

    /// Returns whether recovering a state costs too much, with a tail of this cost. The bound is several times the cost of restoring the
    /// snapshot, or `cost_min` if that is more.
    pub(super) fn is_dear(&self, tail: u64, cost_min: u64) -> bool {
        tail > self.base.saturating_mul(TAIL_COST_RATIO).max(cost_min)
    }

    /// Returns whether a tail of this cost is worth a snapshot, whose writing and trial cost a fraction of it.
    pub(super) fn is_worth_snapshot(&self, tail: u64) -> bool {
        tail >= self.base.saturating_mul(SNAPSHOT_COST_RATIO)
    }
}
