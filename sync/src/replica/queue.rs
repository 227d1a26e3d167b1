//! What is pending outlives its replica: an owner keeps it, and gives it to the next one.

use super::Replica;
use crate::id::{Number, Timestamp};
use crate::machine::Machine;
use crate::pending::Pending;

impl<M: Machine> Replica<M> {
    /// Takes on what an earlier replica of this client had left pending, in the order of its numbers, before anything else is done. `json` is
    /// the transition as any build reads it; `may_be_sent` whether the room may have got it already. It waits for the machine.
    pub fn restore_pending(&mut self, number: Number, json: String, now: Timestamp, entropy: u64, may_be_sent: bool) {
        if self.pending.back().is_none_or(|last| last.number < number) {
            let mut restored = Pending::from_json(number, json, now, entropy);
            restored.may_be_sent = may_be_sent;
            self.pending.push_back(restored);
            self.last_number = self.last_number.max(number);
        }
    }

    /// Whether the room may have got the pending transition with this number: what its owner keeps for
    /// [`Replica::restore_pending`].
    #[must_use]
    pub fn may_be_sent(&self, number: Number) -> bool {
        let index = self.pending.binary_search_by_key(&number, |pending| pending.number);
        index.is_ok_and(|index| self.pending[index].may_be_sent)
    }
}
