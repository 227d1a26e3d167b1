//! Switches a room to another build, or leaves the room as it was. Checking beforehand whether that is wise is up to the caller.

use reapply_machine::{Build, Lane, Stack};
use reapply_sync::room::UpgradeFailed;
use reapply_sync::{LoadError, RoomId, Seq, UpgradeError};

use super::command::Gone;
use super::error::UpgradeRoomError;
use super::rooms::Rooms;

impl Rooms {
    /// Upgrades the room `id` to `build`, and wakes it for that. Returns the upgrade's seq once it is durable.
    ///
    /// # Errors
    ///
    /// There is no such room, the build does not restore its state, or the upgrade was not stored.
    pub async fn upgrade(&self, id: &RoomId, build: &Build) -> Result<Seq, UpgradeRoomError> {
        let mut stack = Stack::Judging;
        loop {
            let room = self.find(id).await?;
            let starting = build.clone();
            let pool = self.logs().machines.pool();
            let instance = pool.run(Lane::Slow, move || starting.instantiate_with(stack)).await?;
            match room.upgrade(instance, build.digest()).await {
                // A state may take more stack to restore than its events took.
                Ok(Err(UpgradeRoomError::Failed(UpgradeFailed::Refused(
                    UpgradeError::Restore(LoadError::Fault(_)) | UpgradeError::Unrestorable(LoadError::Fault(_)),
                )))) if stack == Stack::Judging => {
                    stack = Stack::Replaying;
                }
                Ok(upgraded) => return upgraded,
                // The room fell asleep in the meantime.
                Err(Gone) => continue,
            }
        }
    }
}
