//! The alarms: those that are noted, and those that have failed.

use reapply_sync::Timestamp;

use super::Auditor;
use crate::build::sets_alarms;
use crate::scenario::Scenario;

impl<S: Scenario> Auditor<S> {
    /// Notes that the operator was told of the failed alarm of this time.
    pub(crate) fn note_alarm_failed(&mut self, at: Timestamp) {
        self.alarms_failed.insert(at);
    }

    /// Notes that the operator was told that the machine broke off when it was asked for an alarm. That alarm counts as failed.
    pub(crate) fn note_alarm_faulted(&mut self) {
        self.is_alarm_unheard = true;
        self.alarms_failed.extend(self.alarm());
    }

    /// Notes that no batch is on its way to the journal.
    pub(crate) fn note_settled(&mut self) {
        self.is_alarm_unheard = false;
    }

    /// Checks the journal's note of when to wake the room at the log's head; `None` if it need not be woken.
    pub(crate) fn check_alarm(&self, noted: Option<Timestamp>) {
        let due = self.alarm();
        let is_right = noted == due || noted.is_none() && self.is_alarm_settled(due);
        assert!(is_right, "the alarm is due at {due:?}, and noted for {noted:?}");
    }

    /// Returns the time when the alarm of the newest model is due.
    pub(super) fn alarm(&self) -> Option<Timestamp> {
        S::alarm(self.newest()).filter(|_| sets_alarms(self.build))
    }

    /// Returns whether no alarm must be waited for at the end: there is none, or it has failed.
    pub(crate) fn is_alarm_settled(&self, at: Option<Timestamp>) -> bool {
        at.is_none_or(|at| self.alarms_failed.contains(&at))
    }
}
