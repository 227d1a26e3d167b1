//! The work of a room without input: it announces participants, sets off its alarm, and falls asleep.

use super::limits::SNAPSHOT_RETRY_MICROS;
use super::{Effect, Now, Phase, Room, Ticks};
use crate::machine::Machine;
use crate::message::Goodbye;

impl<M: Machine> Room<M> {
    /// Returns the latest time to call [`Room::handle_timer`]. Ask again once all effects are performed, and from time to time: the wall clock
    /// may be set meanwhile.
    pub fn wake_at(&mut self, now: &Now<'_>) -> Option<Ticks> {
        let mut sleep_at = None;
        if self.phase == Phase::Awake && self.is_idle() && !self.is_alarm_near(now) {
            sleep_at = Some(self.last_used.map_or(now.ticks, |used| used.after(self.sleep_after_micros)));
        }
        let alarm_at = self.alarm_wake_at(now);
        let held_due = self.backoffs.due().filter(|_| self.is_open());
        let is_overfull = self.phase == Phase::Awake && self.sequencer.is_overfull();
        let retry_at = is_overfull.then(|| *self.snapshot_retry.get_or_insert(now.ticks.after(SNAPSHOT_RETRY_MICROS)));
        [self.presence_due, sleep_at, alarm_at, held_due, retry_at].into_iter().flatten().min()
    }

    /// Does everything that is due. An early call does no harm.
    pub fn handle_timer(&mut self, now: &mut Now<'_>) {
        if self.snapshot_retry.is_some_and(|at| at <= now.ticks) {
            self.snapshot_retry = None;
            self.sequencer.retry_snapshot();
        }
        self.let_alarm_go_off(now);
        self.let_go_of_held(now);
        if self.presence_due.is_some_and(|due| due <= now.ticks) {
            self.presence_due = None;
            self.leave_absent(now);
            let (participants, frame) = (self.sessions.participants().len(), self.sessions.presence());
            self.effects.push_back(Effect::Presence { participants, frame });
        }
        let is_unused = self.last_used.is_none_or(|used| used.after(self.sleep_after_micros) <= now.ticks);
        if is_unused && self.phase == Phase::Awake && self.is_idle() && !self.is_alarm_near(now) {
            self.phase = Phase::Ending;
        }
    }

    /// Ends the room at its owner's request: it stores what it has accepted, and takes in nothing more.
    pub fn handle_stop(&mut self) {
        if self.phase == Phase::Awake {
            self.phase = Phase::Ending;
        }
    }

    /// Ends the room, which is at rest, once its last snapshot was tried and is bound into the log.
    pub(super) fn end(&mut self, now: &mut Now<'_>) {
        // A room that does not know its log any more writes nothing.
        let may_store = self.phase == Phase::Ending && !self.sequencer.is_broken();
        if may_store && !std::mem::replace(&mut self.has_last_snapshot, true) {
            self.sequencer.take_snapshot_for_sleep();
            return self.pump(now);
        }
        if !(may_store && self.sequencer.is_trying()) {
            self.fall_asleep();
        }
    }

    fn fall_asleep(&mut self) {
        self.end_all(&Goodbye::ShuttingDown);
        let note = self.note_for_sleep();
        // This comes after the alarm, since asking the machine for it may cause a report.
        while let Some(report) = self.sequencer.poll_report() {
            self.effects.push_back(Effect::Report(report));
        }
        self.effects.push_back(Effect::Sleep { note });
        self.phase = Phase::Asleep;
    }

    fn is_idle(&self) -> bool {
        self.sessions.is_empty()
            && self.askers.is_empty()
            && self.sequencer.is_settled()
            && self.upgrade.is_none()
            && !self.backoffs.is_holding()
    }
}
