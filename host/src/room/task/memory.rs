//! Counts the memory that the room holds, after each turn.

use super::Task;

impl Task {
    /// Tells the host what the room holds, and since when nobody uses it.
    pub(super) fn note_memory(&mut self) {
        let (bytes, unused_since) = {
            let mut decider = self.decider();
            let unused_since = self.clock.with_now(|now| decider.room.unused_since(now));
            (decider.room.memory_bytes(), unused_since)
        };
        let has_waiting = !self.waiting.is_empty();
        let unused_since = unused_since.filter(|_| !has_waiting).map(|ticks| self.clock.instant(ticks));
        self.share.note(bytes, unused_since);
    }
}
