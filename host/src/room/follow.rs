//! Followers of a room's log. They are told when there is more of it, and never wake the room or keep it awake.

use std::collections::hash_map::Entry;

use reapply_sync::{RoomId, Seq};
use tokio::sync::watch;

use super::room::News;
use super::rooms::Rooms;

/// A follower of a room's log.
pub struct Follower {
    rooms: Rooms,
    room: RoomId,
    woken: watch::Receiver<()>,
    /// The room's news, while it is awake.
    news: Option<watch::Receiver<News>>,
}

impl Rooms {
    /// Follows a room's log, whether it is awake or not.
    #[must_use]
    pub fn follow(&self, id: &RoomId) -> Follower {
        Follower { rooms: self.clone(), room: id.clone(), woken: self.followed().subscribe(id), news: None }
    }
}

impl Follower {
    /// Waits until the log may have events after `after`. Returns `false` when there will be none, since the host stops.
    pub async fn wait(&mut self, after: Seq) -> bool {
        loop {
            if let Some(news) = &mut self.news {
                // If the room fell asleep, the events that it stored before are in the log as well.
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
        // This follower's own receiver is still counted.
        let mut followed = self.rooms.followed().lock();
        if let Entry::Occupied(woken) = followed.entry(self.room.clone())
            && woken.get().receiver_count() <= 1
        {
            woken.remove();
        }
    }
}
