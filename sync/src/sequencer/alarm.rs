//! The alarm of a room's newest state: the time when it is due, and its outcome.

use super::Sequencer;
use super::request::Undecided;
use crate::event::Input;
use crate::id::Timestamp;
use crate::limits::TRANSITION_BYTES_MAX;
use crate::machine::{Alarm, ApplyError, Machine, Refusal};
use crate::report::Report;

impl<M: Machine> Sequencer<M> {
    /// Sets the alarm off, if it is due. Call this when [`Sequencer::alarm_rings_at`] has come; an early call does nothing.
    pub fn handle_alarm(&mut self, now: Timestamp, entropy: u64) {
        if self.alarm_rings_at().is_none_or(|at| at > now) {
            return;
        }
        let Some(alarm) = self.alarm() else { return };
        // An alarm that was interrupted is still due.
        if let Err(Undecided::Rejected(why)) = self.decide(Input::Alarm(alarm.transition.clone()), now, entropy) {
            self.reports.push_back(Report::AlarmFailed { alarm: alarm.clone(), why });
            self.alarm_spent = Some(alarm);
            self.alarm = None;
        }
    }

    /// Marks the alarm as failed: the owner knows from before the room was opened that it has.
    pub fn spend_alarm(&mut self) {
        self.alarm_spent = self.alarm();
    }

    /// Returns the time when the alarm of the newest state is due, if it has one.
    pub fn alarm_at(&mut self) -> Option<Timestamp> {
        self.alarm().map(|alarm| alarm.at)
    }

    /// Returns whether [`Sequencer::alarm_at`] returns without a call of the machine.
    #[must_use]
    pub fn is_alarm_known(&self) -> bool {
        self.alarm.is_some() || self.upgrade.is_some() || self.is_broken() || self.is_lost
    }

    /// Returns the time to call [`Sequencer::handle_alarm`]: when the alarm is due. Returns `None` while an upgrade is on its way to the
    /// journal, or the room is [overfull](Sequencer::is_overfull).
    pub fn alarm_rings_at(&mut self) -> Option<Timestamp> {
        if self.upgrade.is_some() || self.is_overfull() { None } else { self.alarm_at() }
    }

    /// Returns the newest state's alarm, unless it has failed.
    fn alarm(&mut self) -> Option<Alarm> {
        if let Some(upgrade) = &self.upgrade {
            return upgrade.alarm.clone();
        }
        if self.alarm.is_none() && !self.is_broken() && !self.is_lost {
            let in_flight = self.in_flight.as_ref().and_then(|(_, state)| state.as_ref());
            let asked = self.machine.alarm(self.open_state.as_ref().or(in_flight).unwrap_or(&self.durable));
            let cost = self.machine.take_cost();
            self.costs.note_call(cost);
            match asked {
                Ok(alarm) => self.alarm = Some(alarm.and_then(|alarm| self.of_bearable_size(alarm))),
                Err(fault) => self.alarm = self.handle_fault("alarm", fault).then_some(None),
            }
        }
        let alarm = self.alarm.clone().flatten();
        alarm.filter(|alarm| self.alarm_spent.as_ref() != Some(alarm))
    }

    /// Returns the alarm if its transition is within the limit. It becomes an event as a participant's does, so it has the same limit. A larger
    /// alarm fails.
    fn of_bearable_size(&mut self, alarm: Alarm) -> Option<Alarm> {
        let bytes = alarm.transition.len();
        if bytes <= TRANSITION_BYTES_MAX {
            return Some(alarm);
        }
        let begins = Alarm { transition: alarm.transition.slice(..TRANSITION_BYTES_MAX), ..alarm };
        if self.alarm_spent.as_ref() != Some(&begins) {
            let what = format!("it has {bytes} bytes; the limit is {TRANSITION_BYTES_MAX}");
            let why = ApplyError::Refused(Refusal::Malformed(what));
            self.reports.push_back(Report::AlarmFailed { alarm: begins.clone(), why });
            self.alarm_spent = Some(begins);
        }
        None
    }
}
