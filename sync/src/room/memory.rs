//! The memory that a room takes, and a room that gives it back early.

use super::{Now, Phase, Room, Ticks, Upgrade};
use crate::machine::Machine;

impl<M: Machine> Room<M> {
    /// Returns the approximate bytes of memory that the room takes, for the owner's limits.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let upgrade = match &self.upgrade {
            Some(Upgrade::Waiting { machine, .. }) => machine.memory_bytes(),
            Some(Upgrade::Storing) | None => 0,
        };
        self.sequencer.memory_bytes() + upgrade + self.backoffs.held_bytes()
    }

    /// Returns the time of the last use if the room could fall asleep now, although it may be too early for that. A room whose alarm goes off
    /// soon stays awake.
    pub fn unused_since(&mut self, now: &Now<'_>) -> Option<Ticks> {
        let is_unused = self.phase == Phase::Awake && self.is_idle() && !self.is_alarm_near(now);
        is_unused.then(|| self.last_used.unwrap_or_default())
    }

    /// Ends the room if nobody uses it, since others need its memory. Returns whether it ends.
    pub fn handle_memory_needed(&mut self, now: &Now<'_>) -> bool {
        if self.unused_since(now).is_some() {
            self.phase = Phase::Ending;
        }
        self.phase != Phase::Awake
    }
}
