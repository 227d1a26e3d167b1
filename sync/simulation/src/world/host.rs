//! The host's side of a run: frames come in, effects are performed, the process crashes.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::room::{Effect, Note, Now, Step, Ticks};
use reapply_sync::{Batch, ClientMessage, Machine, Snapshot, Timestamp, Tried};

use reapply_sync::room::limits::{LAST_TRIAL_MICROS_MAX, STORAGE_RETRY_MICROS};

use super::World;
use super::task::{Stored, Task, Waiting};
use crate::build::{BUILDS, Build, digest_of, number_of};
use crate::network::Connection;
use crate::room::{Out, Shell, slowness};
use crate::scenario::Scenario;
use crate::slices::Slices;

/// The minimum time until a room is woken again for an alarm for which it was woken without success.
const WAKE_AGAIN_AFTER: u64 = 60_000_000;

impl<S: Scenario> World<S> {
    /// Starts the process. The room wakes at once, or when somebody needs it.
    pub(super) fn start_host(&mut self) {
        if self.is_down {
            self.is_down = false;
            self.host += 1;
            self.rung_for = None;
            if self.random.percent(50) { self.wake(true) } else { self.wake_for_alarm_later() }
        }
    }

    /// Schedules the waking of a sleeping room for the time when its alarm is due, according to the journal.
    pub(super) fn wake_for_alarm_later(&mut self) {
        let Some(due) = self.wake_due().filter(|_| self.room.is_none() && !self.is_down) else { return };
        let again = if self.rung_for == Some(due) { WAKE_AGAIN_AFTER } else { 0 };
        let after = due.0.saturating_sub(self.clock().0).max(again);
        self.schedule(after, Task::WakeForAlarm { host: self.host });
    }

    pub(super) fn wake_for_alarm(&mut self) {
        let due = self.wake_due().filter(|due| *due <= self.clock());
        if self.room.is_some() || self.is_down || due.is_none() {
            self.wake_for_alarm_later();
            return;
        }
        self.rung_for = due;
        self.coverage.woken_for_alarm += u64::from(!self.journal.note.is_occupied);
        self.coverage.woken_to_leave += u64::from(self.journal.note.is_occupied);
        self.wake(false);
        self.is_rung = self.with_room(|shell, now| shell.room.handle_ring(now)).is_some();
        self.pump_room();
    }

    /// Returns the time when the room must be woken because of its note: at once, if somebody may be present.
    fn wake_due(&self) -> Option<Timestamp> {
        let Note { alarm, is_occupied } = self.journal.note;
        if is_occupied { Some(Timestamp(0)) } else { alarm }
    }

    /// Asks for an upgrade of the room to another build.
    pub(super) fn upgrade_room(&mut self) {
        let number = self.random.below(BUILDS.into()) as u8;
        if !self.is_down {
            self.inbox.push_back(Waiting::Upgrade { number });
            self.pump_room();
        }
    }

    /// Ends the process. Everything that was not durable is lost. A batch that was with the journal may have become durable.
    pub(super) fn crash_host(&mut self) {
        if std::mem::replace(&mut self.is_down, true) {
            return;
        }
        self.coverage.restarts += 1;
        self.inbox.clear();
        self.auditor.note_crash();
        (self.is_rung, self.is_upgrading, self.failed_at) = (false, false, None);
        self.ledger.note_struck(self.journal.faults.take());
        self.ledger.note_crash();
        self.signals.note_crash();
        (self.noted_at_rest, self.alarm_failed) = (None, None);
        self.on_trial = None;
        if let Some(shell) = self.room.take() {
            self.coverage.room.add(&shell.counts);
        }
        if let Some((batch, note)) = self.in_flight.take()
            && self.random.percent(50)
        {
            self.store(&batch, note);
        }
        for connection in 0..self.connections.len() {
            if self.connections[connection].host == self.host {
                self.cut(connection);
            }
        }
        let after = self.random.below(3_000_000);
        self.schedule(after, Task::Restart);
    }

    /// Stops the host, and starts it again from a backup: everything after the backup is lost.
    pub(super) fn restore_backup(&mut self) {
        self.coverage.backups_restored += 1;
        self.crash_host();
        let head = self.journal.restore(&mut self.random);
        self.auditor.note_restored_backup(head);
        self.start_host();
    }

    fn store(&mut self, batch: &Batch, note: Note) {
        self.journal.store(batch, note);
        self.auditor.note_durable(batch);
        self.auditor.check_alarm(note.alarm);
    }

    pub(super) fn appended(&mut self, stored: Stored) {
        let Some((batch, note)) = self.in_flight.take() else { return };
        if matches!(stored, Stored::Yes | Stored::Unknown { is_stored: true }) {
            self.store(&batch, note);
        }
        self.failed_at = (stored == Stored::No).then_some(self.now);
        (self.is_note_uncertain, self.alarm_failed) = (stored != Stored::Yes, None);
        self.with_room(|shell, now| match stored {
            Stored::Yes => shell.room.handle_appended(now),
            Stored::No => shell.room.handle_append_failed(now),
            Stored::Unknown { .. } => shell.room.handle_append_lost(now),
        });
        self.coverage.room.fall_backs += u64::from(stored == Stored::No);
        self.coverage.appends_lost += u64::from(matches!(stored, Stored::Unknown { .. }));
        self.pump_room();
    }

    /// Restores a snapshot away from the room, in a machine of its own.
    pub(super) fn try_snapshot(&mut self, snapshot: &Arc<Snapshot>) {
        if self.on_trial.take_if(|on_trial| Arc::ptr_eq(on_trial, snapshot)).is_none() {
            return;
        }
        if !self.is_calm && self.random.percent(5) {
            self.coverage.trials_not_made += 1;
            self.with_room(|shell, _| shell.room.handle_tried(snapshot.seq, Tried::NotTried));
            self.pump_room();
            return;
        }
        let mut machine = self.journal.build(&self.scenario, number_of(S::NAME, snapshot.digest));
        let restored = machine.restore(&snapshot.state, snapshot.state_version);
        self.ledger.note_struck(self.journal.faults.take());
        let tried = match restored.map_err(|why| why.to_string()) {
            Ok(_) => Tried::Restored,
            Err(why) => {
                self.coverage.trials_failed += 1;
                assert!(self.ledger.note_told(&why), "a snapshot is not restored, though nothing failed: {why}");
                Tried::Failed(why)
            }
        };
        self.with_room(|shell, _| shell.room.handle_tried(snapshot.seq, tried));
        self.pump_room();
    }

    pub(super) fn frame_up(&mut self, connection: usize, frame: Bytes) {
        let Connection { host, up, is_ended, .. } = &self.connections[connection];
        if *host != self.host || !up.is_open(self.now) || *is_ended || self.is_down {
            return;
        }
        let is_message = ClientMessage::decode(&frame).is_ok();
        assert!(is_message || !self.is_of_replica(connection), "a replica sends only messages");
        if self.is_for_front(connection, &frame) {
            self.hand_in(Waiting::Frame { connection, frame });
            self.send_out();
            return;
        }
        self.inbox.push_back(Waiting::Frame { connection, frame });
        // The owner may take in all waiting input before it performs the effects.
        if self.random.percent(70) || self.is_calm {
            self.pump_room();
        }
    }

    /// Returns the time of the host's clock.
    pub(super) fn clock(&self) -> Timestamp {
        self.conditions.clock.at(self.now)
    }

    pub(super) fn with_room<T>(
        &mut self,
        f: impl FnOnce(&mut Shell<Build<S::Machine>>, &mut Now<'_>) -> T,
    ) -> Option<T> {
        let (ticks, time) = (Ticks(self.now), self.clock());
        let drawn = Slices::draw(&mut self.random);
        let mut draw = || self.random.bits();
        let shell = self.room.as_mut()?;
        // As a host does, this makes calls that may be expensive without a slice.
        let is_dear = shell.room.may_be_dear(Step::Poll) || shell.room.may_be_dear(Step::HandleAppended);
        shell.room.set_slice(drawn.filter(|_| !is_dear));
        let done = f(shell, &mut Now { ticks, time, entropy: &mut draw });
        self.coverage.interrupted += u64::from(shell.room.is_lost());
        Some(done)
    }

    /// Hands in waiting input, until the room is full. Wakes a room that sleeps. Returns whether something was done.
    fn take_in(&mut self) -> bool {
        let mut has_taken = false;
        while let Some(waiting) = self.inbox.pop_front() {
            if self.room.is_none() && !matches!(waiting, Waiting::Closed { .. }) {
                self.inbox.push_front(waiting);
                self.wake(true);
                return true;
            }
            if self.room.as_ref().is_some_and(|shell| !shell.room.is_open()) {
                self.inbox.push_front(waiting);
                self.coverage.waited += self.inbox.len() as u64;
                return has_taken;
            }
            self.hand_in(waiting);
            has_taken = true;
        }
        has_taken
    }

    fn hand_in(&mut self, waiting: Waiting) {
        match waiting {
            Waiting::Frame { connection, .. } if self.has_ended(connection) => {}
            Waiting::Frame { connection, frame } => {
                let author = self.connections[connection].author.clone();
                let slowness = slowness(&mut self.random);
                self.note_signal_up(connection, &author, &frame);
                self.coverage.hellos += u64::from(matches!(ClientMessage::decode(&frame), Ok(ClientMessage::Hello(_))));
                self.with_room(|shell, now| shell.handle_frame(connection, author, &frame, slowness, now));
                self.give_out_signals();
                for (client, decided, forgotten) in
                    self.with_room(|shell, _| std::mem::take(&mut shell.welcomed)).unwrap_or_default()
                {
                    self.auditor.check_welcome(client, decided, forgotten);
                }
            }
            Waiting::Closed { connection } => {
                self.with_room(|shell, now| shell.handle_closed(connection, now));
            }
            Waiting::Once { askers, submit } => {
                for asker in askers {
                    self.with_room(|shell, now| shell.room.handle_submit_once(asker, submit.clone(), now));
                }
            }
            Waiting::Upgrade { number } => {
                let machine = self.journal.build(&self.scenario, number);
                let digest = digest_of(S::NAME, number);
                let asked = self.with_room(|shell, now| shell.room.handle_upgrade(machine, digest, now));
                assert_eq!(asked, Some(Ok(())), "an open room has no upgrade");
                self.is_upgrading = true;
            }
        }
    }

    fn has_ended(&self, connection: usize) -> bool {
        let by_room = self.room.as_ref().is_some_and(|shell| shell.has_ended(connection));
        by_room || self.connections[connection].is_ended
    }

    /// Performs all effects of the room and hands in waiting input, until there is nothing more.
    pub(super) fn pump_room(&mut self) {
        loop {
            while let Some(effect) = self.with_room(|shell, now| shell.room.poll_effect(now)).flatten() {
                self.effect(effect);
                self.send_out();
            }
            if self.room.as_ref().is_some_and(|shell| shell.room.is_lost()) {
                // The states are recovered in a call without a slice.
                continue;
            }
            let has_taken = self.take_in();
            self.send_out();
            if !has_taken {
                break;
            }
        }
        self.check_room();
        if let Some(at) = self.with_room(|shell, now| shell.room.wake_at(now)).flatten() {
            let at = at.0.max(self.now);
            let is_at_rest = !self.is_calm && at >= self.heartbeats_until && self.is_overfull();
            if !is_at_rest && self.timer_scheduled.is_none_or(|scheduled| at < scheduled) {
                self.timer_scheduled = Some(at);
                self.schedule(at - self.now, Task::Timer { host: self.host });
            }
        }
    }

    /// Returns whether the room waits for a snapshot. While states can be too large for one, it may wait forever.
    fn is_overfull(&self) -> bool {
        self.room.as_ref().is_some_and(|shell| shell.room.sequencer().is_overfull())
    }

    /// Checks the conditions that hold whenever the room has finished its work.
    fn check_room(&mut self) {
        self.note_forgotten();
        self.ledger.note_struck(self.journal.faults.take());
        self.ledger.check();
        self.signals.check();
        self.check_note();
        let Some(shell) = &self.room else { return };
        shell.roster.check(self.now);
        let has_members = shell.room.sequencer().has_membership();
        if shell.room.sequencer().is_settled() {
            self.auditor.note_settled();
            let may_be_noted = self.is_note_uncertain || self.alarm_failed.is_none();
            assert!(
                may_be_noted || self.journal.note.alarm != self.alarm_failed,
                "an alarm that failed is still noted"
            );
            assert!(!self.is_rung, "whoever woke the room for its alarm is left waiting");
            if has_members && !shell.room.is_failing() {
                shell.roster.check_membership(self.auditor.joined());
            }
        }
    }

    /// Checks the last note at rest. The operator is told about a failed alarm only after the journal was asked to remove its note.
    fn check_note(&mut self) {
        if let Some(note) = self.noted_at_rest.take() {
            self.auditor.check_alarm(note);
        }
    }

    fn check_size(&self, snapshot: &Snapshot) {
        let (bytes, bytes_max) = (snapshot.state.len(), self.conditions.limits.snapshot_bytes_max);
        assert!(
            bytes <= bytes_max,
            "the snapshot at {} has {bytes} bytes, and {bytes_max} are the limit",
            snapshot.seq
        );
    }

    fn note_forgotten(&mut self) {
        if let Some(forgotten) = self.room.as_ref().and_then(|shell| shell.room.sequencer().forgotten()) {
            self.auditor.note_forgotten(forgotten.seq);
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Append { batch, note } => self.append(batch, note),
            Effect::TrySnapshot(snapshot) => {
                let longest = if self.random.percent(90) { 200_000 } else { 2 * LAST_TRIAL_MICROS_MAX };
                let after = self.random.below(longest);
                self.on_trial = Some(Arc::clone(&snapshot));
                self.schedule(after, Task::TrySnapshot { host: self.host, snapshot });
            }
            Effect::StoreSnapshot(snapshot) => {
                self.coverage.snapshots += 1;
                self.check_size(&snapshot);
                assert!(self.journal.binds(&snapshot), "the log says nothing of the snapshot at {}", snapshot.seq);
                if self.random.percent(70) {
                    let after = self.random.below(500_000);
                    self.schedule(after, Task::SnapshotStored { epoch: self.auditor.epoch(), snapshot });
                }
            }
            Effect::Note(note) => {
                self.noted_at_rest = Some(note.alarm);
                let is_stored = self.is_calm || !self.random.percent(self.append_failures_percent);
                if is_stored {
                    self.journal.note = note;
                }
                self.is_note_uncertain = !is_stored;
                self.with_room(|shell, _| shell.room.handle_noted(is_stored));
            }
            Effect::Rung => assert!(std::mem::take(&mut self.is_rung), "nobody waits for the alarm"),
            Effect::Send { session, frame } => {
                let is_full = !self.is_calm && self.random.percent(2);
                self.with_room(|shell, now| shell.handle_send(session.0 as usize, frame, is_full, now));
            }
            // Messages that are on their way come nevertheless.
            Effect::Slow { .. } => self.coverage.slowed += 1,
            Effect::End { session, why } => {
                self.with_room(|shell, now| shell.handle_end(session.0 as usize, why, now.ticks.0));
            }
            Effect::Head(head) => {
                assert_eq!(head, self.auditor.head(), "the room tells of another head than the log has");
                self.with_room(|shell, _| shell.wake_readers());
            }
            Effect::Presence { participants, frame } => {
                self.with_room(|shell, _| shell.handle_presence(frame));
                let present = self.room.as_ref().map(|shell| shell.roster.participants().len());
                assert_eq!(present, Some(participants), "the room counts other participants than there are");
            }
            Effect::CountRejection(_) => self.coverage.rejections_counted += 1,
            Effect::Answer { asker, verdict } => self.auditor.note_verdict(asker, verdict, self.failed_at.is_some()),
            Effect::Upgraded(upgraded) => self.upgraded(upgraded),
            Effect::Report(report) => self.report(report),
            Effect::Sleep { note } => self.slept(note),
        }
    }

    fn append(&mut self, batch: Arc<Batch>, note: Note) {
        assert_eq!(batch.expected, self.auditor.head(), "the journal refuses: another head");
        let is_alarm = batch.events.iter().any(|event| matches!(event.input, reapply_sync::Input::Alarm(_)));
        let failed_at = self.failed_at.filter(|_| is_alarm);
        let waits = failed_at.is_none_or(|failed_at| self.now >= failed_at + STORAGE_RETRY_MICROS);
        assert!(waits, "an alarm did not wait for the storage");
        assert!(self.in_flight.replace((batch, note)).is_none(), "two batches at once");
        let is_failing = !self.is_calm && self.random.percent(self.append_failures_percent);
        let stored = match self.random.below(4) {
            _ if !is_failing => Stored::Yes,
            0 => Stored::Unknown { is_stored: self.random.percent(50) },
            _ => Stored::No,
        };
        let after = self.random.below(300_000);
        self.schedule(after, Task::Appended { host: self.host, stored });
    }

    fn slept(&mut self, note: Note) {
        self.note_forgotten();
        let Some(shell) = self.room.take() else { return };
        assert!(shell.roster.is_empty(), "a room sleeps over its sessions");
        assert!(!self.is_upgrading, "a room sleeps over somebody who waits for its upgrade");
        if std::mem::take(&mut self.is_rung) {
            // Whoever woke the room for its alarm hears that the room is gone, and tries again.
            self.rung_for = None;
        }
        self.coverage.slept += 1;
        self.coverage.slept_before_trial += u64::from(self.on_trial.take().is_some());
        self.coverage.slept_with_alarm += u64::from(note.alarm.is_some());
        self.coverage.room.add(&shell.counts);
        self.failed_at = None;
        self.ledger.note_struck(self.journal.faults.take());
        self.ledger.check();
        self.check_note();
        if !self.is_note_uncertain {
            self.auditor.check_alarm(self.journal.note.alarm);
        }
        let mut unhanded = BTreeSet::new();
        for waiting in &self.inbox {
            if let Waiting::Once { askers, .. } = waiting {
                unhanded.extend(askers.iter().copied());
            }
        }
        self.auditor.check_all_answered(&unhanded);
        self.wake_for_alarm_later();
    }

    fn send_out(&mut self) {
        let out = self.room.as_mut().map(|shell| std::mem::take(&mut shell.out)).unwrap_or_default();
        for out in out {
            match out {
                Out::Send { connection, frame } => self.send_down(connection, frame),
                Out::Close { connection } => self.close_down(connection),
                Out::ReadLater { connection, after } => {
                    self.schedule(after, Task::Read { host: self.host, connection });
                }
                Out::Leave { connection } => self.inbox.push_back(Waiting::Closed { connection }),
            }
        }
    }
}
