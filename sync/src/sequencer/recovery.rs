//! Recovery: a machine that faulted has lost its states, and they are made again.

use super::Sequencer;
use crate::event::{BatchBuilder, Event};
use crate::machine::{Fault, Machine};
use crate::report::Report;

impl<M: Machine> Sequencer<M> {
    /// Recovers all states after one of the machine's functions faulted while its owner used [`Sequencer::durable`]. Returns whether the
    /// machine was to blame, and not a [slice](Sequencer::set_slice) that interrupted the call.
    pub fn handle_fault(&mut self, function: &'static str, fault: Fault) -> bool {
        let is_fault = !self.machine.is_interrupted();
        if is_fault {
            self.reports.push_back(Report::FunctionFaulted { function, fault });
        }
        self.lose();
        is_fault
    }

    /// Recovers the durable, the in-flight and the open state of a machine that faulted.
    pub(super) fn recover(&mut self) {
        let recovered = self.try_recover();
        let cost = self.costs.of_recovery().saturating_add(self.machine.take_cost());
        if let Some((author, call_cost)) = self.faulted.take() {
            self.charges.push_back((author, cost.saturating_add(call_cost)));
        }
        match recovered {
            // With a new snapshot, the next recovery will be cheap.
            Ok(()) if self.costs.was_recovery_dear() => self.take_snapshot_if_possible(),
            Ok(()) => {}
            Err(error) => {
                let broken = Report::Broken(error);
                self.broken = Some(broken.to_string());
                self.reports.push_back(broken);
                self.drop_open();
            }
        }
    }

    /// Drops the open batch of a room that cannot go on. Nobody was told of it, and its clients submit it again.
    fn drop_open(&mut self) {
        let stored = self.in_flight.as_ref().map(|(batch, _)| (batch.last(), batch.chain));
        let (last, chain) = stored.unwrap_or_else(|| (self.history.head(), self.history.chain()));
        self.open = BatchBuilder::new(last, chain);
        self.open_state = None;
        self.rejected.retain(|&(decided_at, _)| decided_at <= last);
    }

    fn try_recover(&mut self) -> Result<(), String> {
        let base = self.history.base();
        self.machine.reset().map_err(|fault| fault.to_string())?;
        let mut state = self
            .machine
            .restore(&base.state, base.state_version)
            .map_err(|error| format!("snapshot {}: {error}", base.seq))?;
        let base_cost = self.machine.take_cost();
        for encoded in self.history.tail() {
            let event: Event = postcard::from_bytes(&encoded).map_err(|error| error.to_string())?;
            if let Some(after) = apply_all_again(&mut self.machine, &state, [&event])? {
                state = after;
            }
        }
        self.durable = state;
        self.costs.note_recovery(base_cost, self.machine.take_cost());
        if self.upgrade.is_some() {
            // The state that is on its way is of the other machine, which is well.
            return Ok(());
        }
        if let Some((batch, in_flight)) = &mut self.in_flight {
            *in_flight = apply_all_again(&mut self.machine, &self.durable, &batch.events)?;
        }
        let in_flight = self.in_flight.as_ref().and_then(|(_, state)| state.as_ref());
        self.open_state = apply_all_again(&mut self.machine, in_flight.unwrap_or(&self.durable), self.open.events())?;
        Ok(())
    }
}

/// Returns the state after `events`; `None` if they do not change it.
fn apply_all_again<'a, M: Machine>(
    machine: &mut M,
    before: &M::State,
    events: impl IntoIterator<Item = &'a Event>,
) -> Result<Option<M::State>, String> {
    let mut after = None;
    for event in events.into_iter().filter(|event| event.input.is_for_machine()) {
        let applied = machine.reapply(after.as_ref().unwrap_or(before), event);
        after = Some(applied.map_err(|error| format!("event {}: {error}", event.seq))?);
    }
    Ok(after)
}
