//! What is pending outlives its replica: an owner keeps it, and gives it to the next one.

use super::Replica;
use crate::id::{Number, NumberError, Seq, Timestamp};
use crate::machine::Machine;
use crate::pending::Pending;

impl<M: Machine> Replica<M> {
    /// Takes on what an earlier replica of this client had left pending, in the order of its numbers, before anything else is done. `json` is
    /// the transition as any build reads it; `sent_at` is what [`Replica::sent_at`] said of it there. It waits for the machine.
    ///
    /// # Errors
    ///
    /// No client can have used this number. Nothing has changed then.
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

    /// How far the log had come, at least, when the pending transition with this number was first sent; none where the room
    /// cannot have got it yet. Its owner keeps that for [`Replica::restore_pending`].
    #[must_use]
    pub fn sent_at(&self, number: Number) -> Option<Seq> {
        let index = self.pending.binary_search_by_key(&number, |pending| pending.number).ok()?;
        self.pending[index].sent_at
    }
}
