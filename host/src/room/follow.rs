//! Those who follow a room's log: they hear when there is more of it, and never wake the room or keep it awake.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reapply_sync::{RoomId, Seq};
use tokio::sync::watch;

use super::room::News;
use super::rooms::Rooms;

/// One who follows a room's log.
pub struct Follower {
    rooms: Rooms,
    room: RoomId,
    woken: watch::Receiver<()>,
    /// The room's news, while it is awake.
    news: Option<watch::Receiver<News>>,
}

impl Follower {
    pub(super) fn new(rooms: Rooms, room: RoomId) -> Self {
        let woken = rooms.followed().subscribe(&room);
        Self { rooms, room, woken, news: None }
    }

    /// Waits until the log may have events after `after`. Answers `false` when it will have none, since the host stops.
    pub async fn wait(&mut self, after: Seq) -> bool {
        loop {
            if let Some(news) = &mut self.news {
                // Whatever a room stored before it fell asleep is in the log as well.
                if news.wait_for(|news| news.head > after).await.is_err() {
                    self.news = None;
                }
                return true;
            }
            self.news = self.rooms.news(&self.room).await;
            if self.news.is_none() {
                if self.rooms.is_stopping() || self.woken.changed().await.is_err() {
                    return false;
                }
                return true;
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // One of the two receivers is the one that goes now.
        let mut followed = self.rooms.followed().lock();
        if let Entry::Occupied(woken) = followed.entry(self.room.clone())
            && woken.get().receiver_count() <= 1
        {
            woken.remove();
        }
    }
}

/// The rooms that are followed, each with a bell that rings when it wakes.
#[derive(Debug, Default)]
pub(super) struct Followed(Mutex<HashMap<RoomId, watch::Sender<()>>>);

impl Followed {
    /// The room is awake now.
    pub(super) fn ring(&self, room: &RoomId) {
        if let Some(woken) = self.lock().get(room) {
            woken.send_replace(());
        }
    }

    /// No room wakes any more.
    pub(super) fn ring_all(&self) {
        for woken in self.lock().values() {
            woken.send_replace(());
        }
    }

    fn subscribe(&self, room: &RoomId) -> watch::Receiver<()> {
        self.lock().entry(room.clone()).or_insert_with(|| watch::channel(()).0).subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
