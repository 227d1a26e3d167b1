//! The rooms whose logs wait to be trimmed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reapply_sync::RoomId;
use tokio::sync::mpsc;

use super::limits::TRIM_QUEUE_MAX;

/// The sending end of the queue. Each room waits at most once.
#[derive(Debug)]
pub(super) struct TrimQueue {
    sender: mpsc::Sender<RoomId>,
    waiting: Arc<Mutex<HashSet<RoomId>>>,
}

/// The receiving end of the queue.
#[derive(Debug)]
pub(super) struct Trims {
    queue: mpsc::Receiver<RoomId>,
    waiting: Arc<Mutex<HashSet<RoomId>>>,
}

/// Returns the two ends of an empty queue.
pub(super) fn queue() -> (TrimQueue, Trims) {
    let (sender, queue) = mpsc::channel(TRIM_QUEUE_MAX);
    let waiting = Arc::<Mutex<HashSet<RoomId>>>::default();
    (TrimQueue { sender, waiting: Arc::clone(&waiting) }, Trims { queue, waiting })
}

impl TrimQueue {
    /// Adds a room. If the queue is full, the room is offered again at its next checkpoint.
    pub(super) fn offer(&self, room: &RoomId) {
        if lock(&self.waiting).insert(room.clone()) && self.sender.try_send(room.clone()).is_err() {
            lock(&self.waiting).remove(room);
        }
    }

    /// Adds a room. Waits while the queue is full.
    pub(super) async fn offer_when_free(&self, room: &RoomId) {
        let is_new = lock(&self.waiting).insert(room.clone());
        if is_new && self.sender.send(room.clone()).await.is_err() {
            lock(&self.waiting).remove(room);
        }
    }
}

impl Trims {
    /// Returns the room that has waited longest. From now on it can be offered again, since a change during its trim may come too late for that.
    pub(super) async fn next(&mut self) -> Option<RoomId> {
        let room = self.queue.recv().await?;
        lock(&self.waiting).remove(&room);
        Some(room)
    }
}

fn lock(waiting: &Mutex<HashSet<RoomId>>) -> MutexGuard<'_, HashSet<RoomId>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
