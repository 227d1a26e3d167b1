//! Counts the memory that the room holds, after each turn.

use reapply_sync::room;

use super::Task;
use crate::room::memory::Usage;

impl Task {
    /// Tells the host what the room holds, and how it is used.
    pub(super) fn note_memory(&mut self) {
        let (bytes, usage) = {
            let mut decider = self.decider();
            (decider.room.memory_bytes(), decider.with_now(|room, now| room.usage(now)))
        };
        let usage = match usage {
            room::Usage::InUse => Usage::InUse,
            room::Usage::Passing => Usage::Passing,
            room::Usage::Unused { .. } if !self.waiting.is_empty() => Usage::Passing,
            room::Usage::Unused { since } => Usage::Unused(self.clock.instant(since)),
            room::Usage::Ending => Usage::Ending,
        };
        self.share.note(bytes, usage);
    }
}
