//! Performs the effects of a room in order: on the journal, sessions, requests and the operator's log.

use std::sync::Arc;

use reapply_journal::crash;
use reapply_journal::{Appended, BatchId, Record};
use reapply_sync::room::{Effect, Note, Step};
use reapply_sync::{Alarm, ApplyError, Batch, CodecError, Event, Goodbye, Input, Report, SessionId, Snapshot, Tried};
use tracing::{debug, error, info, warn};

use super::Task;
use super::decider::Decider;
use super::in_flight::InFlight;
use super::trial::Trial;
use crate::clock;
use crate::room::command::DirectMessage;
use crate::room::troubles::Kind;

/// Maximum bytes of an alarm's transition in the operator's log, as JSON.
const ALARM_SHOWN_BYTES_MAX: usize = 1024;

impl Task {
    /// Performs the room's effects, until there are no more.
    pub(super) async fn perform_effects(&mut self) {
        loop {
            let effects = self.turn(Step::Poll, Decider::poll).await;
            let is_done = effects.is_empty() && !self.decider().room.is_lost();
            for effect in effects {
                self.perform(effect).await;
            }
            if !self.unreachable.is_empty() {
                let unreachable = std::mem::take(&mut self.unreachable);
                self.turn(Step::HandIn, |decider| decider.drop_unreachable(unreachable)).await;
            } else if is_done {
                break;
            }
        }
        self.schedule_tally();
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Append { batch, note } => self.append(&batch, note),
            Effect::TrySnapshot(snapshot) => self.try_snapshot(snapshot),
            Effect::StoreSnapshot(snapshot) => self.store_snapshot(snapshot),
            Effect::Rung => {
                for ringer in self.decider().ringers.drain(..) {
                    let _gone = ringer.send(());
                }
            }
            Effect::Send { session, frame } => {
                if !self.front.send(session, DirectMessage::Frame(frame)) {
                    self.front.remove(session);
                    self.unreachable.push(session);
                }
            }
            Effect::Slow { session, until } => {
                let direct = DirectMessage::Slow(self.clock.instant(until));
                // A session whose queue is full misses this. Its frames are read on, and the room keeps them.
                let _full = self.front.send(session, direct);
            }
            Effect::End { session, why } => self.end_session(session, why),
            Effect::Head(head) => self.news.send_modify(|news| news.head = head),
            Effect::Presence { participants, frame } => self.news.send_modify(|news| {
                news.participants = participants;
                news.presence_version += 1;
                news.presence = frame;
            }),
            Effect::CountRejection(rejected) => self.count(&rejected),
            Effect::Answer { asker, verdict } => {
                let _asker_gone = self.decider().askers.remove(&asker).map(|reply| reply.send(verdict));
            }
            Effect::Upgraded(upgraded) => {
                let mut decider = self.decider();
                if let Ok(seq) = &upgraded {
                    crash::point("upgraded-no-snapshot");
                    info!(room = %self.id, digest = %decider.room.sequencer().digest(), %seq, "the room was upgraded");
                }
                let _asker_gone = decider.upgrading.take().map(|reply| reply.send(upgraded.map_err(Into::into)));
            }
            Effect::Report(report) => self.report(report).await,
            Effect::Note(note) => self.note(note).await,
            Effect::Sleep { note } => self.fall_asleep(note).await,
        }
    }

    fn append(&mut self, batch: &Batch, note: Note) {
        if batch.upgrade().is_some() {
            crash::point("upgrade-not-stored");
        }
        let is_checkpoint = |event: &Event| matches!(event.input, Input::Checkpoint { .. });
        let record = Record::new(BatchId(rand::random()), batch);
        self.in_flight = Some(InFlight {
            events: batch.events.len(),
            has_checkpoint: batch.events.iter().any(is_checkpoint),
            appending: self.context.journal.append(&self.id, record, note),
        });
    }

    /// Hands the journal's answer about a batch to the room.
    pub(super) async fn handle_appended(&mut self, appended: Appended) {
        let Some(InFlight { events, has_checkpoint, .. }) = self.in_flight.take() else { return };
        let id = &self.id;
        match appended {
            Appended::Committed => {
                self.is_failing = false;
                let hand_in = |decider: &mut Decider| decider.with_now(reapply_sync::Room::handle_appended);
                self.turn(Step::HandleAppended, hand_in).await;
                if self.is_trimmed && has_checkpoint {
                    self.context.trims.offer(&self.id);
                }
                return;
            }
            Appended::Failed(why) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    warn!(room = %id, %why, events, "events were not stored; the room falls back until they are");
                }
                let hand_in = |decider: &mut Decider| decider.with_now(reapply_sync::Room::handle_append_failed);
                self.turn(Step::HandIn, hand_in).await;
                return;
            }
            Appended::Unknown => {
                error!(room = %id, "it is unknown whether events were stored; the room restarts from its log");
            }
            Appended::Conflict { head } => {
                error!(room = %id, %head, "another host writes this room's log, so this host closes the room");
            }
        }
        let hand_in = |decider: &mut Decider| decider.with_now(reapply_sync::Room::handle_append_lost);
        self.turn(Step::HandIn, hand_in).await;
    }

    fn try_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        let build = self.decider().room.sequencer().machine().build().clone();
        let pool = self.context.machines.pool().clone();
        self.trial = Some(Trial::new(self.id.clone(), build, pool, snapshot));
    }

    /// Hands the outcome of a snapshot's trial to the room.
    pub(super) fn handle_tried(&mut self, tried: Tried) {
        if let Some(Trial { seq, .. }) = self.trial.take() {
            self.decider().room.handle_tried(seq, tried);
        }
    }

    /// Stores a snapshot in the background.
    fn store_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        self.context.troubles.clear(&self.id, Kind::Unsaved);
        let (journal, id) = (Arc::clone(&self.context.journal), self.id.clone());
        let trims = self.is_trimmed.then(|| Arc::clone(&self.context.trims));
        self.storing = Some(tokio::spawn(async move {
            match journal.put_snapshot(&id, (*snapshot).clone()).await {
                Ok(()) => {
                    crash::point("snapshot-stored");
                    trims.inspect(|trims| trims.offer(&id));
                }
                Err(why) => {
                    warn!(room = %id, seq = %snapshot.seq, %why, "a snapshot was not stored; the next one takes its place");
                }
            }
        }));
    }

    async fn note(&mut self, note: Note) {
        let noted = self.context.journal.set_note(&self.id, note).await;
        if let Err(why) = &noted {
            warn!(room = %self.id, %why, "the room's note was not stored, so the room may miss its alarm while it sleeps");
        }
        self.decider().room.handle_noted(noted.is_ok());
    }

    fn end_session(&mut self, session: SessionId, why: Goodbye) {
        if let Some(outbox) = self.front.remove(session) {
            // A full queue is dropped with the session, and the connection then closes without a message.
            let _full = outbox.try_send(DirectMessage::Goodbye(why));
        }
    }

    /// Ends the room's task, because the room goes to sleep or the host stops.
    async fn fall_asleep(&mut self, note: Note) {
        self.is_asleep = true;
        // Before the room is gone, since callers who find it gone read the counts from the journal.
        self.tell_tally_for_sleep().await;
        self.inboxes.close().await;
        // A caller who wakes the room waits for this task, and finds the snapshot.
        if let Some(storing) = self.storing.take() {
            let _stored = storing.await;
        }
        self.tell_tally_for_sleep().await;
        if note.alarm.is_some() {
            self.context.alarms_changed.notify_one();
        }
        if note.is_occupied {
            self.context.abandoned.notify_one();
        }
        debug!(room = %self.id, "the room is asleep");
    }

    async fn report(&mut self, report: Report) {
        match report {
            Report::Broken(_) => drop(self.context.troubles.note(&self.id, Kind::Closed, &report.to_string())),
            Report::SnapshotUnrestorable { .. } => {
                self.context.troubles.note(&self.id, Kind::Unsaved, &report.to_string());
            }
            Report::AlarmFailed { alarm, why } => self.report_alarm(alarm, &why).await,
            _ => warn!(room = %self.id, "{report}"),
        }
    }

    /// Reports an alarm that failed to the operator.
    async fn report_alarm(&mut self, alarm: Alarm, why: &ApplyError) {
        let bytes = alarm.transition.clone();
        let decoded = self.turn(Step::Show, move |decider| decider.room.decode(&bytes)).await;
        let mut transition = match decoded {
            Ok(json) => json,
            Err(CodecError::Refused(_) | CodecError::Fault(_)) => format!("{:02x?}", &alarm.transition[..]),
        };
        transition.truncate(transition.floor_char_boundary(ALARM_SHOWN_BYTES_MAX));
        let due = clock::rfc3339(alarm.at);
        warn!(room = %self.id, %due, %transition, %why, "the alarm failed; it is not tried again, and the room is as it was");
    }
}
