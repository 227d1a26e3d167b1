//! Slices: under one, some calls of the room's machine are broken off. Each call has a cost.

use reapply_sync::Fault;

use crate::random::Random;

/// The cost of one call.
const CALL_COST: u64 = 1_000;

/// Under a slice, one of this many calls is broken off.
const CALLS_PER_INTERRUPTION: u64 = 7;

/// A machine's slice, and the cost of its calls.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    slice: Option<u64>,
    calls: u64,
    cost: u64,
    is_interrupted: bool,
}

impl Slices {
    /// Draws the slice that the room's owner sets for a call.
    pub(crate) fn draw(random: &mut Random) -> Option<u64> {
        random.percent(30).then_some(CALL_COST)
    }

    /// Goes on with a call, or breaks it off.
    pub(crate) fn call(&mut self) -> Result<(), Fault> {
        self.calls += 1;
        self.cost += CALL_COST;
        if self.slice.is_some() && self.calls.is_multiple_of(CALLS_PER_INTERRUPTION) {
            self.is_interrupted = true;
            return Err(Fault::Exhausted("slice".to_owned()));
        }
        Ok(())
    }

    pub(crate) fn reset(&mut self) {
        self.is_interrupted = false;
    }

    pub(crate) fn set(&mut self, slice: Option<u64>) {
        self.slice = slice;
    }

    pub(crate) fn take_cost(&mut self) -> u64 {
        std::mem::take(&mut self.cost)
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }
}
