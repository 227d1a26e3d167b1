//! Observers of the room: views of the last durable state, in which machines may break off too, and reports to the operator.

use reapply_sync::room::UpgradeFailed;
use reapply_sync::{ApplyError, LoadError, Refusal, Report, Seq, UpgradeError};

use super::World;
use crate::faults::Doing;
use crate::scenario::Scenario;

impl<S: Scenario> World<S> {
    /// Looks at the room's state. The view must be of the durable one, whatever is under way.
    pub(super) fn look(&mut self) {
        if self.random.percent(20) {
            self.wake(true);
        }
        let Some(shell) = self.room.as_ref().filter(|shell| !shell.room.sequencer().is_broken()) else { return };
        self.coverage.views += 1;
        let head = shell.room.sequencer().history().head();
        let model = self.auditor.model(head, self.auditor.epoch()).clone();
        let shown = self.with_room(|shell, now| {
            let show = |machine: &mut crate::build::Build<S::Machine>, state: &_| {
                machine.go_on(Doing::View)?;
                Ok(S::agrees(&model, state))
            };
            // As a host does, this takes a thread that has the time.
            shell.room.set_slice(None);
            shell.room.handle_lost();
            shell.room.show(show, now)
        });
        assert_ne!(shown, Some(Ok(false)), "a view of another state than the durable one at {head}");
        self.pump_room();
    }

    pub(super) fn report(&mut self, report: Report) {
        self.ledger.note_struck(self.journal.faults.take());
        match report {
            Report::Faulted { .. } => self.coverage.room.faults += 1,
            Report::FunctionFaulted { function, fault } => {
                self.coverage.functions_faulted += 1;
                self.ledger.note_reported(&fault.to_string());
                if function == "alarm" {
                    self.auditor.note_alarm_faulted();
                }
            }
            Report::SnapshotTooLarge { bytes, bytes_max } => {
                self.coverage.snapshots_too_large += 1;
                assert!(self.conditions.bloats && bytes > bytes_max, "{bytes} bytes of snapshot are too many");
            }
            Report::SnapshotUnrestorable { why } => self.ledger.note_reported(&why),
            Report::Overfull { bytes } => {
                assert!(bytes >= self.conditions.limits.overfull_tail_bytes_min, "overfull with {bytes} bytes");
            }
            Report::AlarmFailed { alarm, why } => {
                let is_longest = alarm.transition.len() == reapply_sync::limits::TRANSITION_BYTES_MAX;
                if let ApplyError::Refused(Refusal::Malformed(why)) = &why {
                    assert!(is_longest, "another build's alarm went off: {why}");
                    self.coverage.alarms_too_long += 1;
                }
                self.coverage.alarms_faulted += u64::from(matches!(why, ApplyError::Fault(_)));
                self.coverage.room.alarms_refused += 1;
                self.alarm_failed = Some(alarm.at);
                self.auditor.note_alarm_failed(alarm.at);
            }
            Report::Broken(why) => {
                self.coverage.broken += 1;
                assert!(self.ledger.note_told(&why), "the room is broken, though nothing failed: {why}");
            }
        }
    }

    pub(super) fn upgraded(&mut self, upgraded: Result<Seq, UpgradeFailed>) {
        assert!(std::mem::take(&mut self.is_upgrading), "nobody waits for the upgrade");
        self.ledger.note_struck(self.journal.faults.take());
        let error = match upgraded {
            Ok(seq) => return assert_eq!(seq, self.auditor.head(), "an upgrade is alone in its batch"),
            Err(error) => error,
        };
        let is_broken = self.room.as_ref().is_some_and(|shell| shell.room.sequencer().is_broken());
        self.coverage.upgrades_refused += 1;
        let is_founded = match &error {
            UpgradeFailed::Refused(UpgradeError::IsCurrent) | UpgradeFailed::NotStored => true,
            UpgradeFailed::Refused(UpgradeError::NotSettled) => is_broken,
            UpgradeFailed::Refused(UpgradeError::TooLarge { bytes, bytes_max }) => {
                self.conditions.bloats && bytes > bytes_max
            }
            UpgradeFailed::Refused(
                UpgradeError::Restore(LoadError::Fault(fault)) | UpgradeError::Unrestorable(LoadError::Fault(fault)),
            ) => self.ledger.note_told(&fault.to_string()),
            UpgradeFailed::Refused(
                UpgradeError::OldSnapshot(fault) | UpgradeError::NewSnapshot(fault) | UpgradeError::NewAlarm(fault),
            ) => self.ledger.note_told(&fault.to_string()),
            UpgradeFailed::Refused(
                UpgradeError::Restore(LoadError::Refused(_)) | UpgradeError::Unrestorable(LoadError::Refused(_)),
            )
            | UpgradeFailed::Busy => false,
        };
        assert!(is_founded, "the upgrade failed without a cause: {error}");
    }
}
