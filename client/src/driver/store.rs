//! The store's answers.

use reapply_sync::Machine;
use reapply_sync::room::{Now, Ticks};

use super::{Driver, Effect};
use crate::queue::{Store, WriteId, Written};

impl<M: Machine> Driver<M> {
    /// Handles the end of a write.
    pub fn handle_written(&mut self, write: WriteId, written: Written, now: &mut Now<'_>) {
        self.queue.handle_written(write, written, now.ticks);
    }

    /// Handles that the store is open: for the first time, or again and perhaps empty. All kept entries are written.
    pub fn handle_store_opened(&mut self) {
        self.queue.handle_opened(self.transitions.entries());
        // A store that opens late may also hold entries of other clients.
        self.find_orphans();
    }

    /// Handles that the store was closed, or could not be opened.
    pub fn handle_store_closed(&mut self, now: &mut Now<'_>) {
        self.queue.handle_not_opened(now.ticks);
    }

    pub(super) fn begin_store(&mut self, store: Store) {
        if store == Store::Open {
            self.queue.handle_opened(self.transitions.entries());
        }
    }

    /// Opens the store again if that is due.
    pub(super) fn reopen_store(&mut self, now: Ticks) {
        if self.queue.take_reopen(now) {
            self.effects.push_back(Effect::OpenStore);
        }
    }

    pub(super) fn flush_writes(&mut self) {
        if let Some((write, changes)) = self.queue.take_write() {
            self.effects.push_back(Effect::Write { write, changes });
        }
    }
}
