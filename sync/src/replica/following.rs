//! Following the room: this replica's place in the log, the events that come, and the proof that both agree.

use super::arrival::Arrival;
use super::{Confirmed, Replica, Session};
use crate::event::{Event, Input};
use crate::id::{Digest, LogId, Number, Seq};
use crate::machine::{ApplyError, LoadError, Machine};
use crate::message::{ClientMessage, ForgottenClient, Hello, Rejection, Resume, ServerMessage, Start, Welcome};
use crate::outcome::{Divergence, Ended, Outcome, Phase};
use crate::pending::Pending;

impl<M: Machine> Replica<M> {
    pub(super) fn resume(&self) -> Option<Resume> {
        let confirmed = self.confirmed.as_ref().filter(|_| self.diverged_at.is_none())?;
        Some(Resume { log: confirmed.log, digest: confirmed.digest, seq: confirmed.seq, chain: confirmed.chain })
    }

    pub(super) fn greet(&mut self, resume: Option<Resume>) {
        self.waiting.clear();
        self.arriving = None;
        self.phase = Phase::Joining;
        self.welcomes_due += 1;
        let held = self.arrival.as_ref().map(Arrival::held);
        self.transmit.push_back(ClientMessage::Hello(Hello { held, ..Hello::new(self.key.clone(), resume) }).encode());
    }

    pub(super) fn handle_message(&mut self, message: ServerMessage) {
        match message {
            ServerMessage::Welcome(welcome) => self.handle_welcome(welcome),
            ServerMessage::Events(events) => self.handle_events(events),
            ServerMessage::Rejected { number, why } => self.finish(number, Outcome::Rejected(why)),
            ServerMessage::Checkpoint { seq, hash } => self.handle_checkpoint(seq, hash),
            ServerMessage::Presence(presence) => self.presence = presence,
            ServerMessage::Signals(signals) => self.signals.extend(signals),
            ServerMessage::Pong(value) => self.pong = Some(value),
            ServerMessage::Goodbye(goodbye) => self.goodbye = Some(goodbye),
            ServerMessage::Part { at, bytes } => self.handle_part(at, &bytes),
        }
    }

    pub(super) fn handle_welcome(&mut self, welcome: Welcome) {
        if let Start::Parts(snapshot) = &welcome.start {
            let snapshot = **snapshot;
            self.begin_arrival(welcome, &snapshot);
            return;
        }
        if self.machine.as_ref().is_none_or(|(digest, _)| *digest != welcome.digest) {
            self.waiting.push_back(ServerMessage::Welcome(welcome));
            return;
        }
        for (number, why) in welcome.rejected {
            self.finish(number, Outcome::Rejected(why));
        }
        // Whichever start the room chose, no more parts will come.
        self.arrival = None;
        if let Err(why) = self.start_from(welcome.start, welcome.log, welcome.decided) {
            self.fail(why);
            return;
        }
        self.session = Some(Session {
            id: welcome.session,
            participant: welcome.participant,
            head: welcome.head,
            decided: welcome.decided,
        });
        self.phase = Phase::CatchingUp;
        self.changes.note_all();
        if let Some(forgotten) = welcome.forgotten {
            self.handle_forgotten(*forgotten);
        }
        // Transitions that the room has taken on will be decided as they were sent, even if this build would refuse them.
        self.encode_pending(welcome.taken);
        self.submit_above(welcome.decided);
        self.last_number = self.last_number.max(welcome.taken);
        self.catch_up();
    }

    /// Handles that the room has forgotten clients, of which this may be one. Transitions that may be among the forgotten ones have an unknown
    /// outcome.
    fn handle_forgotten(&mut self, ForgottenClient { seq, number, known_from }: ForgottenClient) {
        self.last_number = self.last_number.max(number);
        // A transition was first sent before all later ones. A longer log at that time is one that the room has lost.
        let mut earliest = None;
        let may_be_forgotten = |pending: &&Pending| {
            let Some(sent_at) = pending.sent_at else { return false };
            let first = earliest.map_or(sent_at, |later: Seq| later.min(sent_at));
            earliest = Some(first);
            first < seq && known_from.is_none_or(|known| pending.number < known)
        };
        let numbers = self.pending.iter().rev().filter(may_be_forgotten).map(|pending| pending.number);
        numbers.collect::<Vec<_>>().into_iter().rev().for_each(|number| self.finish(number, Outcome::Unknown));
    }

    /// Makes the confirmed state that the coming events follow.
    fn start_from(&mut self, start: Start, log: LogId, decided: Number) -> Result<(), String> {
        let Start::Snapshot { seq, state_version, time, chain, state } = start else {
            let has_state = self.confirmed.as_ref().is_some_and(|confirmed| confirmed.log == log);
            return if has_state { Ok(()) } else { Err("the room sent a tail where there is no state".to_owned()) };
        };
        let Some((digest, machine)) = &mut self.machine else { return Ok(()) };
        match machine.restore(&state, state_version) {
            Ok(state) => {
                self.optimistic = None;
                self.confirmed = Some(Confirmed { log, digest: *digest, seq, time, chain, state });
                // Transitions of this client that the snapshot includes were decided by now.
                let decided = self.pending.iter_mut().take_while(|pending| pending.number <= decided);
                decided.for_each(|pending| pending.may_be_in_snapshot = true);
                Ok(())
            }
            Err(error) => {
                if let LoadError::Fault(fault) = &error {
                    self.restart_machine(fault);
                }
                Err(format!("the room's snapshot could not be restored: {error}"))
            }
        }
    }

    fn handle_events(&mut self, events: Vec<Event>) {
        if !matches!(self.phase, Phase::CatchingUp | Phase::Live) {
            return;
        }
        let mut events = events.into_iter();
        while let Some(event) = events.next() {
            let (Some((_, machine)), Some(confirmed)) = (&mut self.machine, &mut self.confirmed) else { return };
            if event.seq <= confirmed.seq {
                continue;
            }
            if event.seq != confirmed.seq.next() {
                self.diverge(event.seq, None, None);
                return;
            }
            if let Input::Upgraded(_) = event.input {
                let rest = std::iter::once(event).chain(events).collect();
                self.waiting.push_front(ServerMessage::Events(rest));
                return;
            }
            if event.input.is_for_machine() {
                match machine.apply(&confirmed.state, &event) {
                    Ok(state) => confirmed.state = state,
                    Err(error) => {
                        if let ApplyError::Fault(fault) = error {
                            self.restart_machine(&fault);
                        }
                        self.diverge(event.seq, None, None);
                        return;
                    }
                }
                self.changes.note();
            }
            confirmed.stand_after(&event);
            if let Input::Transition { client, number, .. } = event.input
                && client == self.client
            {
                self.finish(number, Outcome::Accepted { seq: event.seq, time: event.time });
            }
        }
        self.catch_up();
    }

    /// Goes live once all events are here that were durable at `Welcome`. Transitions that are still pending, but were decided then, were
    /// decided while this replica was away.
    pub(super) fn catch_up(&mut self) {
        let (Some(session), Some(confirmed)) = (&self.session, &self.confirmed) else { return };
        self.diverged_at.take_if(|seq| *seq <= confirmed.seq);
        if self.phase != Phase::CatchingUp || confirmed.seq < session.head {
            return;
        }
        self.phase = Phase::Live;
        let decided = session.decided;
        while let Some(pending) = self.pending.front().filter(|pending| pending.number <= decided) {
            let may_be_in_snapshot = pending.may_be_in_snapshot;
            let outcome = if may_be_in_snapshot { Outcome::Decided } else { Outcome::Rejected(Rejection::Forgotten) };
            self.finish(pending.number, outcome);
        }
    }

    /// Removes a pending transition that was decided from the queue, and no other.
    pub(super) fn finish(&mut self, number: Number, outcome: Outcome) {
        self.end(Ended { number, outcome, is_withdrawn: false });
    }

    pub(super) fn end(&mut self, ended: Ended) {
        let Ok(index) = self.pending.binary_search_by_key(&ended.number, |pending| pending.number) else { return };
        let bytes = self.pending.remove(index).map_or(0, |pending| pending.bytes);
        self.pending_bytes -= bytes;
        // An accepted transition has changed the confirmed state.
        if !matches!(ended.outcome, Outcome::Accepted { .. }) {
            self.changes.note();
        }
        self.ended.push_back(ended);
    }

    fn handle_checkpoint(&mut self, seq: Seq, theirs: Digest) {
        let (Some((_, machine)), Some(confirmed)) = (&mut self.machine, &self.confirmed) else { return };
        if confirmed.seq != seq || !matches!(self.phase, Phase::CatchingUp | Phase::Live) {
            return;
        }
        match machine.snapshot(&confirmed.state) {
            Ok(snapshot) if Digest::of(&snapshot) == theirs => {}
            Ok(snapshot) => self.diverge(seq, Some(Digest::of(&snapshot)), Some(theirs)),
            Err(fault) => self.handle_fault(&fault),
        }
    }

    /// Reports that the state here is not the room's, and asks for a snapshot. The old state is shown until the new one is here.
    fn diverge(&mut self, seq: Seq, ours: Option<Digest>, theirs: Option<Digest>) {
        let Some((digest, _)) = self.machine else { return };
        self.divergences.push_back(Divergence { seq, digest, ours, theirs });
        self.transmit.push_back(ClientMessage::Diverged { seq, ours }.encode());
        // A snapshot that leads to the same place would lead there forever.
        if self.diverged_at.replace(seq) == Some(seq) {
            self.fail(format!("diverged at {seq} again, after a new start from a snapshot"));
        } else if self.phase != Phase::Offline {
            self.greet(None);
        }
    }
}
