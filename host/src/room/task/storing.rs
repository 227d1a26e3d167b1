//! What a room hands to the journal, one batch at a time, and what follows from the journal's answers.

use std::sync::Arc;
use std::time::Instant;

use reapply_sync::{Batch, ClientId, Event, Goodbye, Input, Number, Seq, ServerMessage};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::Task;
use crate::clock;
use crate::crash;
use crate::journal::{Appended, Appending, BatchId, Record};
use crate::room::limits::ALARM_WAITS_FOR_STORAGE;
use crate::room::room::{Upgrade, Verdict};
use crate::room::upgrade::UpgradeRoomError;

impl Task {
    /// Carries out what the sequencer has come to.
    pub(super) fn pump(&mut self) {
        for (client, session) in self.sessions.take_ended() {
            self.sequencer.handle_session_ended(client, session);
        }
        self.begin_upgrade();
        if let Some(batch) = self.sequencer.poll_batch() {
            let record = Record::new(BatchId(rand::random()), &batch);
            let note = self.note_with_batch();
            self.in_flight = Some((batch, self.journal.append(&self.id, record, note)));
        }
        while let Some(rejected) = self.sequencer.poll_rejected() {
            self.count(&rejected);
            self.answer(rejected.client, rejected.number, &Verdict::Rejected(rejected.why.clone()));
            let frame = ServerMessage::Rejected { number: rejected.number, why: rejected.why }.encode();
            let left = self.sessions.send_to_client(rejected.client, frame);
            self.leave_all(left);
        }
        self.answer_repeated();
        self.schedule_tally();
        self.store_snapshot();
        while let Some(report) = self.sequencer.poll_report() {
            self.report(&report);
        }
    }

    /// Stores the snapshot that the sequencer has taken, if it has, beside the room.
    fn store_snapshot(&mut self) {
        let Some(snapshot) = self.sequencer.poll_snapshot() else { return };
        let (journal, id) = (Arc::clone(&self.journal), self.id.clone());
        let trims = self.is_trimmed.then(|| Arc::clone(&self.trims));
        tokio::spawn(async move {
            match journal.put_snapshot(&id, (*snapshot).clone()).await {
                Ok(()) => {
                    crash::point("snapshot-stored");
                    trims.inspect(|trims| trims.offer(&id));
                }
                Err(why) => {
                    warn!(room = %id, seq = %snapshot.seq, %why, "a snapshot was not stored; the next one will do");
                }
            }
        });
    }

    /// What the journal has said of the batch that was under way.
    pub(super) fn handle_appended(&mut self, appended: Appended) {
        let Some((batch, _)) = self.in_flight.take() else { return };
        match appended {
            Appended::Committed => {
                self.failing_until = None;
                self.sequencer.handle_appended();
                self.answer_waiting(&batch);
                self.handle_upgraded(batch.last());
                let is_checkpoint = |event: &Event| matches!(event.input, Input::Checkpoint { .. });
                if self.is_trimmed && batch.events.iter().any(is_checkpoint) {
                    self.trims.offer(&self.id);
                }
                let head = self.sequencer.history().head();
                self.news.send_modify(|news| news.head = head);
            }
            Appended::Failed(why) => {
                if self.failing_until.replace(Instant::now() + ALARM_WAITS_FOR_STORAGE).is_none() {
                    let events = batch.events.len();
                    warn!(room = %self.id, %why, events, "events were not stored; the room falls back until they are");
                }
                self.fall_back();
            }
            Appended::Unknown => {
                error!(room = %self.id, "whether events were stored is unknown; the room starts again from its log");
                self.let_go();
            }
            Appended::Conflict { head } => {
                error!(room = %self.id, %head, "another host writes this room's log; this one lets go of it");
                self.let_go();
            }
        }
    }

    /// Lets the build that is waiting take over, once the room is at rest.
    fn begin_upgrade(&mut self) {
        if !self.sequencer.is_settled() {
            return;
        }
        let Some(Upgrade { instance, digest, reply }) = self.upgrade.take() else { return };
        let begun = tokio::task::block_in_place(|| self.sequencer.begin_upgrade(*instance, digest, clock::now()));
        match begun {
            Ok(()) => {
                crash::point("upgrade-not-stored");
                self.upgrading = Some(reply);
            }
            Err(error) => drop(reply.send(Err(error.into()))),
        }
    }

    /// Where the batch that is durable now was an upgrade, the new build is current.
    fn handle_upgraded(&mut self, seq: Seq) {
        let Some(reply) = self.upgrading.take() else { return };
        crash::point("upgraded-no-snapshot");
        info!(room = %self.id, digest = %self.sequencer.digest(), %seq, "the room was upgraded");
        let _asker_gone = reply.send(Ok(seq));
        // The build before may not have asked for membership.
        for participant in self.sessions.all_participants() {
            self.sequencer.handle_joined(participant, clock::now(), rand::random());
        }
        self.absent_leave();
    }

    /// The log may hold more than this room knows.
    fn let_go(&mut self) {
        self.fall_back();
        (self.is_letting_go, self.stopping) = (true, true);
    }

    /// What was not stored is undecided again. Whoever waits for it has to submit it once more.
    fn fall_back(&mut self) {
        self.sequencer.handle_append_failed();
        self.alarm.handle_refused();
        if let Some(reply) = self.upgrading.take() {
            let _asker_gone = reply.send(Err(UpgradeRoomError::NotStored));
        }
        for (_, replies) in self.waiting.drain() {
            send_all(replies, &Verdict::NotStored);
        }
        self.end_sessions(&Goodbye::StorageFailed);
    }

    fn answer_waiting(&mut self, batch: &Batch) {
        if self.waiting.is_empty() {
            return;
        }
        for event in &batch.events {
            if let Input::Transition { client, number, .. } = event.input {
                self.answer(client, number, &Verdict::Accepted { seq: event.seq, time: event.time });
            }
        }
    }

    fn answer(&mut self, client: ClientId, number: Number, verdict: &Verdict) {
        if let Some(replies) = self.waiting.remove(&(client, number)) {
            send_all(replies, verdict);
        }
    }

    /// Who asked for what had been decided earlier will hear nothing more of it.
    fn answer_repeated(&mut self) {
        let sequencer = &self.sequencer;
        let repeated = self.waiting.extract_if(|&(client, number), _| sequencer.is_told(client, number));
        for ((client, number), replies) in repeated {
            send_all(replies, &Verdict::DecidedBefore { seq: sequencer.accepted_at(client, number) });
        }
    }
}

fn send_all(replies: Vec<oneshot::Sender<Verdict>>, verdict: &Verdict) {
    for reply in replies {
        let _asker_gone = reply.send(verdict.clone());
    }
}

/// How the append that is under way ends; never, while there is none.
pub(super) async fn appended(in_flight: &mut Option<(Arc<Batch>, Appending)>) -> Appended {
    match in_flight {
        Some((_, appending)) => appending.await,
        None => std::future::pending().await,
    }
}
