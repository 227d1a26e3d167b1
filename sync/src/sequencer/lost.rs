//! Lost states: under a slice, a machine that breaks off is left as it is, and a later call without a slice recovers its states.
//!
//! Meanwhile nothing is decided. Input is postponed, in order, and decided once the states are recovered. So the result is the same whether a
//! call was broken off by its slice or made without one.

use super::Sequencer;
use super::request::{Postponed, Waiting};
use crate::id::Timestamp;
use crate::machine::Machine;

impl<M: Machine> Sequencer<M> {
    /// Sets the cost at which each call of the machine is broken off. With `None`, calls have the machine's own budgets. If a call is broken
    /// off, or faults, under a slice, the states [are lost](Sequencer::is_lost) until [`Sequencer::handle_lost`].
    pub fn set_slice(&mut self, cost_max: Option<u64>) {
        self.slice = cost_max;
        self.machine.set_slice(cost_max);
    }

    /// Returns whether the states were lost, and must be recovered.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Recovers lost states, and decides postponed input. Does nothing under a slice.
    pub fn handle_lost(&mut self) {
        if !self.is_lost || self.slice.is_some() {
            return;
        }
        self.is_lost = false;
        self.recover();
        for Postponed { input, now, entropy } in std::mem::take(&mut self.postponed) {
            match input {
                Waiting::Submit(submit) => self.handle_submit(submit, now, entropy),
                Waiting::Joined(author) => self.handle_joined(author, now, entropy),
                Waiting::Left(author) => self.handle_left(author, now, entropy),
            }
        }
        // The call that broke off may have been a snapshot that was due.
        self.take_snapshot_if_due();
    }

    pub(super) fn postpone(&mut self, input: Waiting, now: Timestamp, entropy: u64) {
        self.postponed.push(Postponed { input, now, entropy });
    }

    /// Handles that the machine faulted, and its states are gone.
    pub(super) fn lose(&mut self) {
        self.costs.note_dear_call();
        if self.slice.is_some() {
            self.is_lost = true;
        } else {
            self.recover();
        }
    }
}
