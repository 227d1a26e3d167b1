//! The rooms whose logs are followed: each has a bell that rings when the room wakes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reapply_sync::RoomId;
use tokio::sync::watch;

/// The rooms that are followed, each with a bell that rings when it wakes.
#[derive(Debug, Default)]
pub(super) struct FollowedRooms(Mutex<HashMap<RoomId, watch::Sender<()>>>);

impl FollowedRooms {
    /// Reports that a room is awake now.
    pub(super) fn ring(&self, room: &RoomId) {
        if let Some(woken) = self.lock().get(room) {
            woken.send_replace(());
        }
    }

    /// Reports that no room will wake any more.
    pub(super) fn ring_all(&self) {
        for woken in self.lock().values() {
            woken.send_replace(());
        }
    }

    pub(super) fn subscribe(&self, room: &RoomId) -> watch::Receiver<()> {
        self.lock().entry(room.clone()).or_insert_with(|| watch::channel(()).0).subscribe()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
