//! Pending transitions outlive their replica: an owner keeps them, and gives them to the next one.

use super::Replica;
use crate::id::{Number, NumberError, Seq, Timestamp};
use crate::machine::Machine;
use crate::pending::Pending;

impl<M: Machine> Replica<M> {
    /// Accepts a pending transition of an earlier replica of this client. Call this in the order of numbers, before anything else. `json`
    /// is the transition as any build reads it; `sent_at` is the result of [`Replica::sent_at`] there. The transition waits for the
    /// machine.
    ///
    /// # Errors
    ///
    /// No client can have used this number. Nothing has changed.
    pub fn restore_pending(
        &mut self,
        number: Number,
        json: String,
        now: Timestamp,
        entropy: u64,
        sent_at: Option<Seq>,
    ) -> Result<(), NumberError> {
        let number = number.in_range()?;
        if self.pending.back().is_none_or(|last| last.number < number) {
            let mut restored = Pending::from_json(number, json, now, entropy);
            restored.sent_at = sent_at;
            self.pending_bytes += restored.bytes;
            self.pending.push_back(restored);
            self.last_number = self.last_number.max(number);
        }
        Ok(())
    }

    /// Skips numbers: they may name transitions that this replica cannot know of.
    pub fn skip_numbers(&mut self, count: u64) {
        self.last_number = Number(self.last_number.0.saturating_add(count));
    }

    /// Returns the minimum length of the log when the pending transition with this number was first sent; `None` if the room
    /// cannot have received it yet. The owner keeps it for [`Replica::restore_pending`].
    #[must_use]
    pub fn sent_at(&self, number: Number) -> Option<Seq> {
        let index = self.pending.binary_search_by_key(&number, |pending| pending.number).ok()?;
        self.pending[index].sent_at
    }
}
