//! Rebase: pending transitions are applied again on top of the confirmed state.
//!
//! A rebase costs one application for each pending transition, so with many of them it is not done for every frame. It waits until the number
//! of changes is a certain part of the number of pending transitions. So the cost of all rebases is in proportion to the changes, not to the
//! frames. Until then the optimistic state is an older one: it includes all pending transitions, but lacks later changes of others. Whoever
//! shows it asks for the rest after a short while ([`Replica::is_behind`], [`Replica::refresh`]).

use super::Replica;
use crate::id::Seq;
use crate::machine::{ApplyError, Fault, Machine};
use crate::pending::Pending;

impl<M: Machine> Replica<M> {
    /// Brings the optimistic state up to date, once for all frames handled before. If that would cost much more than the changes are worth,
    /// leaves it [behind](Replica::is_behind).
    pub fn settle(&mut self) {
        if self.changes.call_for_rebase(self.pending.len()) {
            self.refresh();
        }
    }

    /// Returns whether the optimistic state lacks some confirmed events or decisions. If so, call [`Replica::refresh`] after a short while.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.changes.are_any()
    }

    /// Brings the optimistic state up to date, however many transitions are pending.
    pub fn refresh(&mut self) {
        if self.changes.take()
            && let Err(fault) = self.apply_pending()
        {
            self.handle_fault(&fault);
        }
    }

    /// Sets the number of pending transitions up to which all are applied again after each change, in place of
    /// [`REBASE_ALWAYS_MAX`](crate::limits::REBASE_ALWAYS_MAX).
    pub fn set_rebase_always_max(&mut self, pending: usize) {
        self.changes.rebase_always_max = pending;
    }

    fn apply_pending(&mut self) -> Result<(), Fault> {
        self.optimistic = None;
        for index in 0..self.pending.len() {
            let pending = self.pending[index].clone();
            if pending.is_not_predicted() {
                continue;
            }
            match self.predict(&pending, index) {
                Some(Ok(state)) => self.optimistic = Some(state),
                Some(Err(ApplyError::Fault(fault))) => {
                    self.pending[index].faulted = true;
                    return Err(fault);
                }
                // On top of the confirmed state this transition has no effect any more. The room decides it nevertheless.
                Some(Err(ApplyError::Refused(_))) => {}
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Returns the optimistic state after one more transition, which has `before` others pending before it.
    pub(super) fn predict(&mut self, pending: &Pending, before: usize) -> Option<Result<M::State, ApplyError>> {
        let (_, machine) = self.machine.as_mut()?;
        let confirmed = self.confirmed.as_ref()?;
        let author = self.session.as_ref().map(|session| session.participant.clone())?;
        let seq = Seq(confirmed.seq.0.saturating_add(before as u64 + 1));
        let event = pending.event(self.client, author, seq, confirmed.time)?;
        Some(machine.apply(self.optimistic.as_ref().unwrap_or(&confirmed.state), &event))
    }
}
