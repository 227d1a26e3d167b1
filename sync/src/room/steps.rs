//! Calls of a room that may take long: its owner makes those on threads that serve nobody else.
//!
//! A call that is likely to be cheap is made on the owner's thread, under a slice: each call of the machine is broken off once it has cost this
//! much. The next [`Room::poll_effect`] without a slice, on another thread, makes the call again. So no machine holds up a thread for longer
//! than a slice, whatever it did before.

use super::{Phase, Room, Step, Upgrade};
use crate::machine::Machine;

impl<M: Machine> Room<M> {
    /// Sets the cost at which each call of the machine is broken off. With `None`, calls have the machine's own budgets.
    pub fn set_slice(&mut self, cost_max: Option<u64>) {
        self.sequencer.set_slice(cost_max);
    }

    /// Returns whether the machine was broken off, or faulted, under a slice. The next [`Room::poll_effect`] without a slice recovers its
    /// states.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.sequencer.is_lost()
    }

    /// Recovers lost states, and decides postponed input. Does nothing under a slice.
    pub fn handle_lost(&mut self) {
        self.sequencer.handle_lost();
    }

    /// Returns whether a step may take long.
    #[must_use]
    pub fn may_be_dear(&self, step: Step) -> bool {
        let sequencer = &self.sequencer;
        sequencer.is_lost()
            || match step {
                Step::HandIn => !sequencer.is_calm(),
                Step::HandleAppended => sequencer.is_snapshot_next() || matches!(self.upgrade, Some(Upgrade::Storing)),
                Step::Poll => {
                    let is_at_rest = sequencer.is_settled();
                    let is_ending = is_at_rest && matches!(self.phase, Phase::Ending | Phase::LettingGo);
                    let is_upgrading = is_at_rest && matches!(self.upgrade, Some(Upgrade::Waiting { .. }));
                    is_ending || is_upgrading || !(sequencer.is_alarm_known() || sequencer.is_calm())
                }
                Step::Show => true,
            }
    }
}
