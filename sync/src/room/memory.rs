//! The memory that a room takes, and a room that gives it back early.

use super::{Now, Phase, Room, Upgrade, Usage};
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

    /// Returns how the room is used now, for an owner that looks for memory. A room whose alarm goes off soon is in use.
    pub fn usage(&mut self, now: &Now<'_>) -> Usage {
        if self.phase != Phase::Awake {
            Usage::Ending
        } else if !self.sessions.is_empty() {
            Usage::InUse
        } else if !self.is_idle() {
            Usage::Passing
        } else if self.is_alarm_near(now) {
            Usage::InUse
        } else {
            Usage::Unused { since: self.last_used.unwrap_or_default() }
        }
    }

    /// Ends the room if nobody uses it, since others need its memory.
    pub fn handle_memory_needed(&mut self, now: &Now<'_>) {
        if matches!(self.usage(now), Usage::Unused { .. }) {
            self.phase = Phase::Ending;
        }
    }
}
