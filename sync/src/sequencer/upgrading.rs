//! Upgrades: another build takes over the room, in the middle of its log.

use super::Sequencer;
use super::upgrade::Upgrade;
use crate::event::Input;
use crate::id::{Digest, Timestamp};
use crate::machine::Machine;
use crate::replay::{MigrateError, migrate};
use crate::report::UpgradeError;

impl<M: Machine> Sequencer<M> {
    /// Switches to another build, which restores the durable state as its first. The upgrade's event is the next batch. When it is
    /// durable, the build is current, and transitions in the old one's encoding are dropped. Meanwhile the room
    /// [is full](Sequencer::is_full).
    ///
    /// # Errors
    ///
    /// Fails if the new build does not take the state over, or the room is not [settled](Sequencer::is_settled). The room has not changed then.
    pub fn begin_upgrade(&mut self, mut machine: M, digest: Digest, now: Timestamp) -> Result<(), UpgradeError> {
        if !self.is_settled() || self.is_broken() || self.upgrade.is_some() {
            return Err(UpgradeError::NotSettled);
        }
        if digest == self.digest {
            return Err(UpgradeError::IsCurrent);
        }
        let state = migrate(&mut self.machine, &self.durable, &mut machine).map_err(|error| match error {
            MigrateError::Snapshot(fault) => {
                self.handle_fault("snapshot", fault.clone());
                UpgradeError::OldSnapshot(fault)
            }
            MigrateError::Restore(error) => UpgradeError::Restore(error),
        })?;
        let snapshot = machine.snapshot(&state).map_err(UpgradeError::NewSnapshot)?;
        let alarm = machine.alarm(&state).map_err(UpgradeError::NewAlarm)?;
        let bytes_max = self.limits.snapshot_bytes_max;
        if snapshot.len() > bytes_max {
            return Err(UpgradeError::TooLarge { bytes: snapshot.len(), bytes_max });
        }
        // The room will go on from this snapshot, so it is restored before anything has changed.
        let state = machine.restore(&snapshot, machine.state_version()).map_err(UpgradeError::Unrestorable)?;
        self.push_own(Input::Upgraded(digest), now);
        self.open_state = Some(state);
        self.upgrade = Some(Upgrade { machine, digest, snapshot, alarm });
        Ok(())
    }
}
