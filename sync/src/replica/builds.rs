//! Switching to another build: the confirmed state is migrated, and pending transitions are converted to the new build's encoding.

use super::{Confirmed, Replica};
use crate::event::{Event, Input};
use crate::id::{Digest, Number};
use crate::limits::WAITING_BYTES_MAX;
use crate::machine::{LoadError, Machine};
use crate::message::{ClientMessage, ServerMessage};
use crate::outcome::{Ended, Outcome, Phase};
use crate::pending::Unencodable;
use crate::replay::{MigrateError, migrate};

impl<M: Machine> Replica<M> {
    /// Accepts the build that [`Replica::needs_machine`] asked for. Call [`Replica::settle`] after it.
    pub fn handle_machine(&mut self, digest: Digest, machine: M) {
        if self.needs_machine() != Some(digest) {
            return;
        }
        let migrated = self.take_over(digest, machine);
        let mut waiting = std::mem::take(&mut self.waiting);
        let welcomes_due = self.welcomes_due;
        if let Some(ServerMessage::Events(events)) = waiting.front_mut() {
            let rest = events.split_off(1.min(events.len()));
            if let (true, Some(upgrade)) = (migrated, events.pop()) {
                self.handle_upgraded(&upgrade);
            } else {
                self.greet(None);
            }
            *events = rest;
        }
        for message in waiting {
            // Another upgrade may be among them.
            if self.waiting.is_empty() {
                self.handle_message(message);
            } else {
                self.waiting.push_back(message);
            }
        }
        if self.waiting_bytes > WAITING_BYTES_MAX && self.welcomes_due == welcomes_due && self.phase != Phase::Offline {
            self.greet(self.resume());
        }
    }

    /// Returns the build that must be loaded before this replica can continue.
    #[must_use]
    pub fn needs_machine(&self) -> Option<Digest> {
        let Some(waiting) = self.waiting.front() else {
            // The first build is loaded while the snapshot arrives; a later one takes over from a state that is shown until then.
            return self.arriving.as_ref().filter(|_| self.machine.is_none()).map(|welcome| welcome.digest);
        };
        match waiting {
            ServerMessage::Welcome(welcome) => Some(welcome.digest),
            ServerMessage::Events(events) => match events.first()?.input {
                Input::Upgraded(digest) => Some(digest),
                _ => None,
            },
            _ => None,
        }
    }

    /// Replaces the current build with a new one, with all pending transitions, and with the confirmed state if the room
    /// was upgraded meanwhile; returns whether the state was taken over.
    fn take_over(&mut self, digest: Digest, machine: M) -> bool {
        self.optimistic = None;
        self.changes.note_all();
        let confirmed = self.confirmed.take();
        let Some((_, mut former)) = self.machine.replace((digest, machine)) else { return false };
        let is_upgrade = matches!(self.waiting.front(), Some(ServerMessage::Events(_)));
        if let (Some(confirmed), Some((_, machine)), true) = (confirmed, &mut self.machine, is_upgrade) {
            match migrate(&mut former, &confirmed.state, machine) {
                Ok(state) => self.confirmed = Some(Confirmed { digest, state, ..confirmed }),
                Err(MigrateError::Restore(LoadError::Fault(fault))) => drop(self.restart_machine(&fault)),
                // The former machine still has to decode the pending transitions. If it does not start, each of them is lost for that reason.
                Err(MigrateError::Snapshot(_)) => drop(former.reset()),
                Err(MigrateError::Restore(LoadError::Refused(_))) => {}
            }
        }
        self.pending.iter_mut().for_each(|pending| pending.decode(&mut former));
        self.confirmed.is_some()
    }

    /// Tells the room that the build of its upgrade has taken over the confirmed state, and sends pending transitions again.
    fn handle_upgraded(&mut self, upgrade: &Event) {
        if let Some(confirmed) = &mut self.confirmed {
            confirmed.stand_after(upgrade);
        }
        let decided = self.session.as_ref().map_or(Number(0), |session| session.decided);
        // This comes before the `Hello` of a machine that faults on pending transitions: the room takes that for a later word.
        self.transmit.push_back(ClientMessage::Upgraded(upgrade.seq).encode());
        self.encode_pending(decided);
        self.submit_above(decided);
        self.catch_up();
    }

    /// Converts undecided transitions to the encoding of the current build; those that it refuses will never be transitions.
    pub(super) fn encode_pending(&mut self, decided: Number) {
        let Some((_, machine)) = &mut self.machine else { return };
        let mut refused = Vec::new();
        let mut faulted = None;
        for pending in self.pending.iter_mut().filter(|pending| pending.number > decided) {
            let Err(error) = pending.encode(machine) else { continue };
            if let Unencodable::Faulted(fault) = &error {
                faulted = Some(fault.clone());
            }
            let (number, outcome) = (pending.number, Outcome::Rejected(error.why()));
            refused.push(Ended { number, outcome, is_withdrawn: true });
        }
        refused.into_iter().for_each(|ended| self.end(ended));
        if let Some(fault) = faulted {
            self.handle_fault(&fault);
        }
    }

    /// Sends pending transitions with numbers above `decided`.
    pub(super) fn submit_above(&mut self, decided: Number) {
        if matches!(self.phase, Phase::CatchingUp | Phase::Live) {
            let head = self.known_head();
            let undecided = self.pending.iter_mut().filter(|pending| pending.number > decided);
            self.transmit.extend(undecided.filter_map(|pending| pending.submit(head)));
        }
    }
}
