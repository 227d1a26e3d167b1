//! The exchange with the journal: one batch at a time, and the consequences of each answer.

use std::sync::Arc;

use super::limits::{LAST_TRIAL_MICROS_MAX, STORAGE_RETRY_MICROS};
use super::{Asker, Effect, Now, Phase, Room, Upgrade, UpgradeFailed, Verdict};
use crate::event::{Batch, Input};
use crate::id::{ClientId, Number, Seq};
use crate::machine::Machine;
use crate::message::{Goodbye, ServerMessage};
use crate::report::Report;
use crate::sequencer::{Rejected, Tried};

impl<M: Machine> Room<M> {
    /// Handles that the batch of [`Effect::Append`] is durable.
    pub fn handle_appended(&mut self, now: &mut Now<'_>) {
        let Some(batch) = self.in_flight.take() else { return };
        let was_failing = self.failing_until.take().is_some();
        self.sequencer.handle_appended();
        self.answer_accepted(&batch);
        self.handle_upgraded(batch.last(), now);
        if was_failing {
            self.leave_absent(now);
        }
        self.effects.push_back(Effect::Head(self.sequencer.history().head()));
    }

    /// Handles that the batch of [`Effect::Append`] was certainly not stored. The room falls back to its last durable state.
    pub fn handle_append_failed(&mut self, now: &mut Now<'_>) {
        if self.in_flight.take().is_none() {
            return;
        }
        self.failing_until = Some(now.ticks.after(STORAGE_RETRY_MICROS));
        self.fall_back(now);
    }

    /// Handles that it is unknown whether the batch of [`Effect::Append`] was stored, or that another host writes the log. The log may hold
    /// more than this room knows, so the room ends, and notes nothing more.
    pub fn handle_append_lost(&mut self, now: &mut Now<'_>) {
        if self.in_flight.take().is_some() {
            self.phase = Phase::LettingGo;
            self.fall_back(now);
        }
    }

    /// Handles the outcome of the trial of the snapshot at `seq`, which was given with [`Effect::TrySnapshot`].
    pub fn handle_tried(&mut self, seq: Seq, tried: Tried) {
        self.sequencer.handle_tried(seq, tried);
    }

    /// Returns whether an append failed, and none has succeeded since.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing_until.is_some()
    }

    /// Turns the sequencer's results into effects.
    pub(super) fn pump(&mut self, now: &mut Now<'_>) {
        self.handle_lost();
        self.note_charges(now);
        self.begin_upgrade(now);
        // The steps below need the alarm. Under a slice, asking for it may lose the states.
        let _alarm = self.sequencer.alarm_at();
        if self.is_lost() {
            return;
        }
        if let Some(batch) = self.sequencer.poll_batch() {
            let note = self.note_with_batch();
            self.in_flight = Some(Arc::clone(&batch));
            self.effects.push_back(Effect::Append { batch, note });
        }
        while let Some(rejected) = self.sequencer.poll_rejected() {
            self.tell_rejected(rejected);
        }
        self.answer_repeated();
        if let Some(snapshot) = self.sequencer.poll_trial() {
            self.effects.push_back(Effect::TrySnapshot(snapshot));
        }
        if let Some(snapshot) = self.sequencer.poll_snapshot() {
            self.effects.push_back(Effect::StoreSnapshot(snapshot));
        }
        self.note_at_rest();
        // This comes after the alarm, since asking the machine for it may cause a report.
        while let Some(report) = self.sequencer.poll_report() {
            self.handle_report(report, now);
        }
        let is_ending = matches!(self.phase, Phase::Ending | Phase::LettingGo);
        if is_ending {
            self.ends_by.get_or_insert(now.ticks.after(LAST_TRIAL_MICROS_MAX));
        }
        if is_ending && self.effects.is_empty() && self.sequencer.is_settled() {
            self.end(now);
        }
    }

    /// Switches the room to the build that waits, once the room is at rest.
    fn begin_upgrade(&mut self, now: &mut Now<'_>) {
        if !self.sequencer.is_settled() || !matches!(self.upgrade, Some(Upgrade::Waiting { .. })) {
            return;
        }
        let Some(Upgrade::Waiting { machine, digest }) = self.upgrade.take() else { return };
        match self.sequencer.begin_upgrade(*machine, digest, now.time) {
            Ok(()) => self.upgrade = Some(Upgrade::Storing),
            Err(error) => self.effects.push_back(Effect::Upgraded(Err(error.into()))),
        }
    }

    /// Completes an upgrade, if the batch that is durable now was one: the new build is current.
    fn handle_upgraded(&mut self, seq: Seq, now: &mut Now<'_>) {
        if !matches!(self.upgrade, Some(Upgrade::Storing)) {
            return;
        }
        self.upgrade = None;
        self.effects.push_back(Effect::Upgraded(Ok(seq)));
        // While the upgrade was being stored, a leave did not become an event.
        self.leave_absent(now);
        // The former build may not have asked for membership.
        for participant in self.sessions.participants().cloned().collect::<Vec<_>>() {
            let entropy = now.draw();
            self.sequencer.handle_joined(participant, now.time, entropy);
        }
    }

    /// Makes everything undecided again that was not stored. Whoever waits for it has to submit it once more.
    fn fall_back(&mut self, now: &mut Now<'_>) {
        self.sequencer.handle_append_failed();
        self.notes.handle_refused();
        let is_lost = matches!(self.upgrade, Some(Upgrade::Storing)) || self.is_letting_go();
        if is_lost && self.upgrade.take().is_some() {
            self.effects.push_back(Effect::Upgraded(Err(UpgradeFailed::NotStored)));
        }
        self.answer_unstored();
        self.end_sessions(&Goodbye::StorageFailed, now);
    }

    fn answer_unstored(&mut self) {
        for asker in std::mem::take(&mut self.askers).into_values().flatten() {
            self.effects.push_back(Effect::Answer { asker, verdict: Verdict::NotStored });
        }
    }

    fn handle_report(&mut self, report: Report, now: &mut Now<'_>) {
        if let Report::Broken(_) = &report {
            self.end_sessions(&self.broken_goodbye(), now);
            self.handle_stop();
        }
        self.effects.push_back(Effect::Report(report));
    }

    fn tell_rejected(&mut self, rejected: Rejected) {
        let (client, number) = (rejected.client, rejected.number);
        if let Some(session) = self.sessions.of_client(client) {
            let version = self.sessions.get(session).map_or(0, |session| session.version);
            let frame = ServerMessage::Rejected { number, why: rejected.why.clone().for_version(version) }.encode();
            self.effects.push_back(Effect::Send { session, frame });
        }
        if !self.askers.is_empty() {
            self.answer(client, number, &Verdict::Rejected(rejected.why.clone()));
        }
        self.effects.push_back(Effect::CountRejection(rejected));
    }

    fn answer_accepted(&mut self, batch: &Batch) {
        if self.askers.is_empty() {
            return;
        }
        for event in &batch.events {
            if let Input::Transition { client, number, .. } = event.input {
                self.answer(client, number, &Verdict::Accepted { seq: event.seq, time: event.time });
            }
        }
    }

    /// Sends the verdict to everyone who waits for this number.
    fn answer(&mut self, client: ClientId, number: Number, verdict: &Verdict) {
        self.answer_all((client, number), verdict);
        let earlier = self.askers.range((client, Number(0))..(client, number));
        if earlier.count() > 0 {
            self.repeated.push((client, number));
        }
    }

    /// Sends verdicts to those who asked for numbers that had been decided earlier. At rest everything is decided, so no asker is left waiting
    /// then.
    fn answer_repeated(&mut self) {
        let mut repeated: Vec<_> = self.repeated.drain(..).collect();
        if self.sequencer.is_settled() && self.sequencer.is_broken() {
            self.answer_unstored();
        } else if self.sequencer.is_settled() {
            repeated.extend(self.askers.keys());
        }
        for (client, upto) in repeated {
            let told = self.askers.range((client, Number(0))..=(client, upto)).map(|(&key, _)| key);
            for (client, number) in told.collect::<Vec<_>>() {
                let verdict = Verdict::DecidedBefore { seq: self.sequencer.accepted_at(client, number) };
                self.answer_all((client, number), &verdict);
            }
        }
    }

    fn answer_all(&mut self, key: (ClientId, Number), verdict: &Verdict) {
        let askers: Vec<Asker> = self.askers.remove(&key).unwrap_or_default();
        for asker in askers {
            self.effects.push_back(Effect::Answer { asker, verdict: verdict.clone() });
        }
    }
}
