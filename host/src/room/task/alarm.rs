//! A room's alarm: goes off while the room is awake, and is noted in the journal, which is how a sleeping room is woken for it.
//!
//! The note is when to look, and no more: a room that is woken too early notes a better time and sleeps again. Without a note nobody looks,
//! so one is only taken away when the alarm is gone, or was tried in vain. A room that opens with an alarm and no note knows by that.

use std::time::{Duration, Instant};

use reapply_sync::{Alarm, ApplyError, CodecError, Machine, Timestamp};
use tokio::sync::oneshot;
use tracing::warn;

use super::Task;
use crate::clock;

/// Bytes of an alarm's transition that the operator is shown, as JSON.
const ALARM_SHOWN_BYTES_MAX: usize = 1024;

/// What is noted of a room's alarm.
#[derive(Debug)]
pub(super) struct AlarmNote {
    /// What was last handed to the journal, which takes one thing after the other.
    handed: Option<Timestamp>,
    /// Whether the journal did not take it, so that it has another note.
    is_refused: bool,
    /// Who woke the room for its alarm, and waits until it is settled.
    ringers: Vec<oneshot::Sender<()>>,
}

impl AlarmNote {
    /// The note that a room was opened with.
    pub(super) fn new(noted: Option<Timestamp>) -> Self {
        Self { handed: noted, is_refused: false, ringers: Vec::new() }
    }

    /// The note went with a batch that was not stored.
    pub(super) fn handle_refused(&mut self) {
        self.is_refused = true;
    }
}

impl Task {
    /// When the alarm is to be looked at, at the latest: the clock may be set meanwhile.
    pub(super) fn alarm_wake_at(&mut self, now: Instant) -> Option<Instant> {
        if !self.is_open() {
            return None;
        }
        let rings_at = self.sequencer.alarm_rings_at()?;
        let wait_micros = rings_at.0.saturating_sub(clock::now().0);
        let rings_at = now + Duration::from_micros(wait_micros).min(self.sleep_after);
        Some(self.failing_until.map_or(rings_at, |until| until.max(rings_at)))
    }

    /// Lets the alarm go off, if it is due. Like everything else it waits while nothing is taken in: where one alarm follows on another, an
    /// upgrade or the room's end would never come.
    pub(super) fn handle_alarm(&mut self) {
        let may_ring = self.failing_until.is_none_or(|until| until <= Instant::now());
        if may_ring && self.is_open() {
            self.sequencer.handle_alarm(clock::now(), rand::random());
        }
    }

    /// Whether it is not worth falling asleep until the alarm.
    pub(super) fn is_alarm_near(&mut self) -> bool {
        let sleep_after_micros = u64::try_from(self.sleep_after.as_micros()).unwrap_or(u64::MAX);
        let near = clock::now().0.saturating_add(sleep_after_micros);
        self.sequencer.alarm_at().is_some_and(|alarm_at| alarm_at.0 <= near)
    }

    /// The note that goes with the batch that was just closed: when the alarm after it is due.
    pub(super) fn note_with_batch(&mut self) -> Option<Timestamp> {
        let note = self.sequencer.alarm_at();
        (self.alarm.handed, self.alarm.is_refused) = (note, false);
        note
    }

    /// Somebody woke the room for its alarm.
    pub(super) fn ring(&mut self, ringer: oneshot::Sender<()>) {
        self.handle_alarm();
        self.alarm.ringers.push(ringer);
    }

    /// Notes the alarm where that has changed without a batch: it was tried in vain, or the room is new.
    pub(super) async fn note_alarm(&mut self) {
        if !self.sequencer.is_settled() || self.is_letting_go {
            return;
        }
        let note = self.sequencer.alarm_at();
        if self.alarm.handed != note {
            self.hand_in(note).await;
        }
        for ringer in self.alarm.ringers.drain(..) {
            let _gone = ringer.send(());
        }
    }

    /// Notes the alarm once more where the journal did not take it, since nobody will be awake for it. Answers whether there is one.
    pub(super) async fn note_alarm_for_sleep(&mut self) -> bool {
        let note = self.sequencer.alarm_at();
        if (self.alarm.handed != note || self.alarm.is_refused) && !self.is_letting_go {
            self.hand_in(note).await;
        }
        note.is_some()
    }

    async fn hand_in(&mut self, note: Option<Timestamp>) {
        let noted = self.journal.set_alarm(&self.id, note).await;
        if let Err(why) = &noted {
            warn!(room = %self.id, %why, "when the alarm is due was not noted; a room that sleeps may miss it");
        }
        (self.alarm.handed, self.alarm.is_refused) = (note, noted.is_err());
    }

    /// Tells the operator of an alarm that was tried in vain.
    pub(super) fn report_alarm(&mut self, alarm: &Alarm, why: &ApplyError) {
        let decoded = self.sequencer.durable().0.decode(&alarm.transition);
        let mut transition = match decoded {
            Ok(json) => json,
            Err(CodecError::Refused(_)) => format!("{:02x?}", &alarm.transition[..]),
            Err(CodecError::Fault(fault)) => {
                self.sequencer.handle_fault("decode", fault);
                format!("{:02x?}", &alarm.transition[..])
            }
        };
        transition.truncate(transition.floor_char_boundary(ALARM_SHOWN_BYTES_MAX));
        let due = clock::rfc3339(alarm.at);
        warn!(room = %self.id, %due, %transition, %why, "the alarm failed; it is not tried again, and the room is as it was");
    }
}
