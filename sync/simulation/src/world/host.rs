//! What happens at the host, and on the way to it.

use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::Timestamp;

use super::{Task, Waiting, World};
use crate::build::{BUILDS, Build, digest_of};
use crate::network::Connection;
use crate::room::{Effect, Room};
use crate::scenario::{Place, Scenario};

impl<S: Scenario> World<S> {
    pub(super) fn start_host(&mut self) {
        if self.room.is_some() {
            return;
        }
        self.host += 1;
        let snapshots = &self.journal.snapshots;
        // Snapshots are a convenience: an old one must do, and so must none.
        let snapshot = match self.random.below(4) {
            0 => None,
            1 if !snapshots.is_empty() => Some(Arc::clone(&snapshots[self.random.index(snapshots.len())])),
            _ => snapshots.iter().max_by_key(|snapshot| snapshot.seq).cloned(),
        };
        let sequencer = self.journal.open(&self.scenario, snapshot.as_deref());
        let (now, entropy) = (self.clock(), self.random.bits());
        self.room = Some(Room::new(sequencer, self.stale_frames_pass, now, entropy));
        self.alarm_scheduled = None;
        self.pump_room();
    }

    /// Another build is to take over the room.
    pub(super) fn upgrade_room(&mut self) {
        let number = self.random.below(BUILDS.into()) as u8;
        let machine = Build::new(self.scenario.machine(Place::Host), number);
        let Some(room) = &mut self.room else { return };
        room.upgrade_to(digest_of(S::NAME, number), machine);
        self.pump_room();
    }

    /// The process is gone, and with it all that was not durable. What was with the journal may have become so.
    pub(super) fn crash_host(&mut self) {
        let Some(room) = self.room.take() else { return };
        self.coverage.restarts += 1;
        self.inbox.clear();
        self.coverage.room.add(&room.counts);
        if let Some(batch) = self.in_flight.take()
            && self.random.percent(50)
        {
            self.journal.store(&batch);
            self.auditor.note_durable(&batch);
        }
        for connection in 0..self.connections.len() {
            if self.connections[connection].host == self.host {
                self.cut(connection);
            }
        }
        let after = self.random.below(3_000_000);
        self.schedule(after, Task::Restart);
    }

    /// The host is stopped, and starts again from a backup: what came after that is lost.
    pub(super) fn restore_backup(&mut self) {
        self.coverage.backups_restored += 1;
        self.crash_host();
        let head = self.journal.restore(&mut self.random);
        self.auditor.note_restored_backup(head);
        self.start_host();
    }

    pub(super) fn appended(&mut self, is_stored: bool) {
        let Some(batch) = self.in_flight.take() else { return };
        let Some(room) = &mut self.room else { return };
        if is_stored {
            self.journal.store(&batch);
            self.auditor.note_durable(&batch);
            room.handle_appended(self.conditions.clock.at(self.now), self.random.bits());
        } else {
            room.handle_append_failed(self.conditions.clock.at(self.now), self.random.bits());
        }
        self.pump_room();
    }

    pub(super) fn frame_up(&mut self, connection: usize, frame: Bytes) {
        let Connection { host, up, .. } = &self.connections[connection];
        if *host != self.host || !up.is_open(self.now) || self.room.is_none() {
            return;
        }
        self.inbox.push_back(Waiting::Frame { connection, frame });
        // The owner may take in all that waits before it pumps.
        self.take_in();
        if self.random.percent(70) || self.is_calm {
            self.pump_room();
        }
    }

    /// What the host's clock shows.
    pub(super) fn clock(&self) -> Timestamp {
        self.conditions.clock.at(self.now)
    }

    /// Hands in what waits, until the room is full.
    pub(super) fn take_in(&mut self) {
        let now = self.clock();
        let Some(room) = &mut self.room else { return };
        while !room.sequencer.is_full()
            && let Some(waiting) = self.inbox.pop_front()
        {
            match waiting {
                Waiting::Frame { connection, frame } => {
                    let author = self.connections[connection].author.clone();
                    room.handle_frame(connection, author, &frame, &mut self.random, now);
                }
                Waiting::Closed { connection } => room.handle_closed(connection, now, self.random.bits()),
                Waiting::Once { submit, is_repeated } => {
                    if is_repeated {
                        room.submit_once(submit.clone(), now, self.random.bits());
                    }
                    room.submit_once(submit, now, self.random.bits());
                }
            }
        }
        self.coverage.waited += self.inbox.len() as u64;
    }

    pub(super) fn pump_room(&mut self) {
        let now = self.clock();
        loop {
            self.take_in();
            let Some(room) = &mut self.room else { return };
            room.pump(now, self.random.bits());
            if let Some(forgotten) = room.sequencer.forgotten() {
                self.auditor.note_forgotten(forgotten.seq);
            }
            let effects = std::mem::take(&mut room.effects);
            // What was told and settled may have made room for what waits.
            if effects.is_empty() && (self.inbox.is_empty() || room.sequencer.is_full()) {
                break;
            }
            effects.into_iter().for_each(|effect| self.effect(effect));
        }
        let Some(room) = &mut self.room else { return };
        let alarm_at = room.sequencer.alarm_rings_at().map(|at| self.now + at.0.saturating_sub(now.0));
        if let Some(at) = alarm_at
            && self.alarm_scheduled.is_none_or(|scheduled| at < scheduled)
        {
            self.alarm_scheduled = Some(at);
            self.schedule(at - self.now, Task::Alarm { host: self.host });
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Send { connection, frame } => {
                if let Some(at) = self.connections[connection].down.arrival(self.now, &mut self.random) {
                    self.schedule(at - self.now, Task::Down { connection, frame });
                }
            }
            Effect::Close { connection } => {
                if let Some(at) = self.connections[connection].down.arrival(self.now, &mut self.random) {
                    self.schedule(at - self.now, Task::DownClosed { connection });
                }
            }
            Effect::Append(batch) => {
                assert_eq!(batch.expected, self.auditor.head(), "the journal refuses: another head");
                assert!(self.in_flight.replace(batch).is_none(), "two batches at once");
                let is_stored = self.is_calm || !self.random.percent(self.append_failures_percent);
                let after = self.random.below(300_000);
                self.schedule(after, Task::Appended { host: self.host, is_stored });
            }
            Effect::StoreSnapshot(snapshot) => {
                self.coverage.snapshots += 1;
                if self.random.percent(70) {
                    let after = self.random.below(500_000);
                    self.schedule(after, Task::SnapshotStored { epoch: self.auditor.epoch(), snapshot });
                }
            }
            Effect::ReadLater { connection, after } => {
                self.schedule(after, Task::Read { host: self.host, connection });
            }
        }
    }
}
