//! The memory that a room's decisions take.

use super::Sequencer;
use crate::machine::Machine;

impl<M: Machine> Sequencer<M> {
    /// Returns the approximate bytes of memory that the room's decisions and states take: its machines, the history, what is not durable yet, and
    /// the records of its clients.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let upgrade =
            self.upgrade.as_ref().map_or(0, |upgrade| upgrade.machine.memory_bytes() + upgrade.snapshot.len());
        let in_flight = self.in_flight.as_ref().map_or(0, |(batch, _)| batch.body.len());
        let candidate = self.candidate.as_ref().map_or(0, |candidate| candidate.snapshot.state.len());
        let undecided = self.open.bytes() + in_flight + candidate;
        self.machine.memory_bytes() + upgrade + undecided + self.history.memory_bytes() + self.clients.bytes()
    }
}
