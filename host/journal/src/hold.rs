//! Rooms whose logs are being copied, and so are not trimmed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reapply_sync::RoomId;

/// The held rooms, each with the number of holders.
#[derive(Clone, Debug, Default)]
pub struct Holds(Arc<Mutex<HashMap<RoomId, usize>>>);

impl Holds {
    /// Holds a room.
    pub fn hold(&self, room: &RoomId) -> Hold {
        *self.lock().entry(room.clone()).or_default() += 1;
        Hold { holds: self.clone(), room: room.clone() }
    }

    /// Returns whether anyone holds the room.
    #[must_use]
    pub fn is_held(&self, room: &RoomId) -> bool {
        self.lock().contains_key(room)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a room's log from being trimmed until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Hold {
    holds: Holds,
    room: RoomId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut holds = self.holds.lock();
        if let Some(count) = holds.get_mut(&self.room) {
            *count -= 1;
            if *count == 0 {
                holds.remove(&self.room);
            }
        }
    }
}
