//! The work of a room without input: it announces participants, sets off its alarm, and falls asleep.

use super::limits::{SNAPSHOT_RETRY_MICROS, TRIAL_RETRY_MICROS};
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
        let is_trial_waiting = self.phase == Phase::Awake && self.sequencer.is_trial_waiting();
        let trial_at = is_trial_waiting.then(|| *self.trial_retry.get_or_insert(now.ticks.after(TRIAL_RETRY_MICROS)));
        let is_trying = self.phase == Phase::Ending && self.sequencer.is_trying();
        // Past that time a room that is not at rest waits for the journal, and for nothing else.
        let ends_by = self.ends_by.filter(|&at| is_trying && (at > now.ticks || self.sequencer.is_settled()));
        [self.presence_due, sleep_at, alarm_at, held_due, retry_at, trial_at, ends_by].into_iter().flatten().min()
    }

    /// Does everything that is due. An early call does no harm.
    pub fn handle_timer(&mut self, now: &mut Now<'_>) {
        if self.snapshot_retry.is_some_and(|at| at <= now.ticks) {
            self.snapshot_retry = None;
            self.sequencer.retry_snapshot();
        }
        if self.trial_retry.is_some_and(|at| at <= now.ticks) {
            self.trial_retry = None;
            self.sequencer.retry_trial();
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

    /// Ends the room, which is at rest: first its sessions, and then the room itself once its last snapshot was tried and is bound into the log,
    /// or the time for that is over.
    pub(super) fn end(&mut self, now: &mut Now<'_>) {
        if !self.sessions.is_empty() {
            return self.say_goodbye();
        }
        // A room that does not know its log any more writes nothing.
        let may_store = self.phase == Phase::Ending && !self.sequencer.is_broken();
        let has_time = self.ends_by.is_none_or(|at| now.ticks < at);
        if may_store && has_time {
            if self.sequencer.is_trying() {
                // The room ends once that is known. If the snapshot is not the last one, that follows.
                return;
            }
            if !std::mem::replace(&mut self.has_last_snapshot, true) {
                self.sequencer.retry_trial();
                self.sequencer.take_snapshot_for_sleep();
                return self.pump(now);
            }
        }
        self.fall_asleep();
    }

    /// Ends all sessions. For the sequencer their clients stay connected, so that the last snapshot forgets none of them.
    fn say_goodbye(&mut self) {
        self.has_said_goodbye = true;
        self.backoffs.forget_all();
        for session in self.sessions.remove_all().into_keys() {
            self.effects.push_back(Effect::End { session, why: Goodbye::ShuttingDown });
        }
    }

    fn fall_asleep(&mut self) {
        let note = self.note_for_sleep();
        // This comes after the alarm, since asking the machine for it may cause a report.
        while let Some(report) = self.sequencer.poll_report() {
            self.effects.push_back(Effect::Report(report));
        }
        self.effects.push_back(Effect::Sleep { note });
        self.phase = Phase::Asleep;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.sessions.is_empty()
            && self.askers.is_empty()
            && self.sequencer.is_settled()
            && self.upgrade.is_none()
            && !self.backoffs.is_holding()
    }
}
