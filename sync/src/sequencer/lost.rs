//! Lost states: under a slice, a machine that breaks off is left as it is, and its states are made again in a later call without one.
//!
//! Meanwhile nothing is decided. What comes in is postponed, in order, and decided once the states are there again: so whether a call was broken off
//! by its slice, or made without one, comes to the same.

use super::{Sequencer, Submit};
use crate::id::{Author, Timestamp};
use crate::machine::Machine;

/// An input that waits until the states are there again, with the clock and the random bits of when it came in.
#[derive(Debug)]
pub(super) struct Postponed {
    pub(super) input: Waiting,
    pub(super) now: Timestamp,
    pub(super) entropy: u64,
}

#[derive(Debug)]
pub(super) enum Waiting {
    Submit(Submit),
    Joined(Author),
    Left(Author),
}

impl<M: Machine> Sequencer<M> {
    /// Breaks each call of the machine off once it has cost this much; with `None` calls have the machine's own budgets. Where a call is broken
    /// off, or faults, under a slice, the states [are lost](Sequencer::is_lost) until [`Sequencer::handle_lost`].
    pub fn set_slice(&mut self, cost_max: Option<u64>) {
        self.slice = cost_max;
        self.machine.set_slice(cost_max);
    }

    /// Whether the states were lost, and wait to be made again.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Makes states that were lost again, and decides what was postponed. Does nothing under a slice.
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
        // A snapshot that was due may have been what broke off.
        self.take_snapshot_if_due();
    }

    pub(super) fn postpone(&mut self, input: Waiting, now: Timestamp, entropy: u64) {
        self.postponed.push(Postponed { input, now, entropy });
    }

    /// The machine faulted, and its states are gone.
    pub(super) fn lose(&mut self) {
        self.costs.note_dear_call();
        if self.slice.is_some() {
            self.is_lost = true;
        } else {
            self.recover();
        }
    }
}
