//! Waking a room: one caller opens it, and others wait for that. Whoever comes while it falls asleep waits until it is gone, and opens it again.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use reapply_sync::{RoomId, SessionId};
use tracing::debug;

use super::error::{EnterError, OpenRoomError};
use super::limits::{MAKE_SPACE_WITHIN, OPEN_TRIES_MAX, ROOMS_AWAKE_MAX, SPACE_LOOK_INTERVAL};
use super::memory::Share;
use super::open::{self, Begin, Opened};
use super::room::Room;
use super::rooms::{Awake, Rooms, Shared, Slot};
use super::task;
use super::troubles::Kind;

impl Rooms {
    /// Returns a room, and wakes it if it is asleep.
    pub(super) async fn wake(&self, id: &RoomId, begin: Begin, is_used: bool) -> Result<Room, EnterError> {
        if !matches!(begin, Begin::Only(_))
            && !self.is_stopping()
            && let Some(room) = self.awake(id).await
        {
            return Ok(room);
        }
        // In a task of its own, since the caller may be dropped at any moment, and a room must not stay half awake.
        let (rooms, id) = (self.clone(), id.clone());
        let woken = tokio::spawn(async move { rooms.wake_here(&id, begin, is_used).await }).await;
        woken.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(EnterError::ShuttingDown),
        })
    }

    /// Wakes a room. This future must run to its end.
    async fn wake_here(&self, id: &RoomId, begin: Begin, is_used: bool) -> Result<Room, EnterError> {
        loop {
            let slot = self.slot(id).await.map_err(|error| self.unless_stopping(error))?;
            let mut awake = slot.lock().await;
            if self.is_stopping() {
                return Err(EnterError::ShuttingDown);
            }
            if !self.holds(id, &slot) {
                continue;
            }
            if let Some(awake) = awake.as_ref().filter(|awake| !awake.room.is_gone()) {
                return match begin {
                    Begin::Only(_) => Err(OpenRoomError::RoomExists(id.clone()).into()),
                    Begin::No | Begin::IfNew => Ok(awake.room.clone()),
                };
            }
            // A room that is falling asleep finishes first: its last records and its snapshot are still being stored.
            if let Some(Awake { task, .. }) = awake.take() {
                let _ended = task.await;
            }
            if !matches!(begin, Begin::Only(_))
                && let Err(error) = self.check_trouble(id)
            {
                drop(awake);
                self.shared.forget(id, &slot).await;
                return Err(error);
            }
            return match self.open(id, begin).await {
                Ok((opened, share)) => {
                    self.shared.context.troubles.clear(id, Kind::Closed);
                    debug!(room = %id, head = %opened.sequencer.history().head(), "the room is awake");
                    let is_occupied = opened.noted.is_occupied;
                    let opened = self.start(id, opened, share, is_used);
                    let room = opened.room.clone();
                    if is_occupied {
                        // Participants who were present when the room ended leave before anybody sees the room.
                        let _ended = room.ring().await;
                    }
                    *awake = Some(opened);
                    self.shared.followed.ring(id);
                    Ok(room)
                }
                Err(error) => {
                    drop(awake);
                    self.shared.forget(id, &slot).await;
                    Err(match error {
                        EnterError::Open(error) => self.shared.note_trouble(id, error).await,
                        error => self.unless_stopping(error),
                    })
                }
            };
        }
    }

    /// Opens a room within the host's memory for rooms.
    async fn open(&self, id: &RoomId, begin: Begin) -> Result<(Opened, Share), EnterError> {
        let mut tries_left = OPEN_TRIES_MAX;
        loop {
            let expected = open::expected_bytes(&self.shared.logs, id, &begin).await?;
            let mut share = self.shared.context.memory.admit(id, expected).await?;
            let mut opened = open::open(&self.shared.logs, id, begin.clone()).await?;
            tries_left -= 1;
            match share.take(opened.sequencer.memory_bytes()).await {
                Ok(()) => {
                    opened.store(&self.shared.logs).await?;
                    return Ok((opened, share));
                }
                Err(error) if tries_left == 0 => return Err(error.into()),
                // The room's need is known now. It is given up for the moment, so that it can wait for rooms that are being opened as well.
                Err(_) => {}
            }
        }
    }

    fn start(&self, id: &RoomId, opened: Opened, share: Share, is_used: bool) -> Awake {
        let shared = Arc::clone(&self.shared);
        let next_session = move || SessionId(shared.next_session.fetch_add(1, Ordering::Relaxed));
        let (room, run) = task::start(id.clone(), opened, share, is_used, self.shared.context.clone(), next_session);
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        let task = tokio::spawn(async move {
            run.await;
            // In another task: a caller who wakes the room again holds the lock of its slot, and waits for this task.
            tokio::spawn(async move {
                let slot = shared.slots().get(&id).cloned();
                if let Some(slot) = slot {
                    shared.forget(&id, &slot).await;
                }
            });
        });
        Awake { room, task }
    }

    /// Returns the room's place. If there is none, an unused room falls asleep first.
    async fn slot(&self, id: &RoomId) -> Result<Slot, EnterError> {
        let slot = OnceLock::new();
        let is_found = || slot.get().is_some() || self.try_slot(id).is_some_and(|found| slot.set(found).is_ok());
        let deadline = Instant::now() + MAKE_SPACE_WITHIN;
        loop {
            self.shared.context.memory.make_place(is_found).await;
            // The memory of a room that has gone is free a little earlier than its place.
            if is_found() || !self.has_room_gone() || Instant::now() >= deadline || self.is_stopping() {
                return slot.into_inner().ok_or(EnterError::Full);
            }
            tokio::time::sleep(SPACE_LOOK_INTERVAL).await;
        }
    }

    /// Returns whether a place is about to be free, because its room has gone.
    fn has_room_gone(&self) -> bool {
        let has_gone =
            |slot: &Slot| slot.try_lock().is_ok_and(|awake| awake.as_ref().is_some_and(|awake| awake.room.is_gone()));
        self.shared.slots().values().any(has_gone)
    }

    /// Returns the error, or that the host stops: then nobody waits for memory any more.
    fn unless_stopping(&self, error: EnterError) -> EnterError {
        match error {
            EnterError::Full | EnterError::NoMemory(_) if self.is_stopping() => EnterError::ShuttingDown,
            error => error,
        }
    }

    fn try_slot(&self, id: &RoomId) -> Option<Slot> {
        let mut slots = self.shared.slots();
        if slots.len() >= ROOMS_AWAKE_MAX && !slots.contains_key(id) {
            return None;
        }
        Some(Arc::clone(slots.entry(id.clone()).or_default()))
    }

    fn holds(&self, id: &RoomId, slot: &Slot) -> bool {
        self.shared.slots().get(id).is_some_and(|held| Arc::ptr_eq(held, slot))
    }
}

impl Shared {
    /// Remembers the reason why a room does not open, if it lasts. A room that could not begin does not exist, and has no troubles.
    async fn note_trouble(&self, id: &RoomId, error: OpenRoomError) -> EnterError {
        if !error.is_lasting() || matches!(self.logs.journal.room(id).await, Ok(None)) {
            return error.into();
        }
        EnterError::Troubled(self.context.troubles.note(id, Kind::Closed, &error.to_string()))
    }

    /// Removes a slot whose room is not awake. A caller who holds it already notices that, and takes a new one.
    async fn forget(&self, id: &RoomId, slot: &Slot) {
        let awake = slot.lock().await;
        if awake.as_ref().is_some_and(|awake| !awake.room.is_gone()) {
            return;
        }
        let mut slots = self.slots();
        if slots.get(id).is_some_and(|held| Arc::ptr_eq(held, slot)) {
            slots.remove(id);
        }
        drop(slots);
        self.context.memory.tell_freed();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Duration;

    use reapply_journal::SqliteJournal;
    use reapply_machine::Engine;
    use tokio::sync::mpsc;

    use super::*;
    use crate::log::Logs;
    use crate::room::command::Command;
    use crate::room::memory::Usage;
    use crate::room::{RoomsOptions, start};

    /// A limit far beyond the time that it takes to find that there is no such room.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn rooms(directory: &tempfile::TempDir) -> Rooms {
        let journal = Arc::new(SqliteJournal::open(directory.path()).unwrap().journal);
        start(Logs::new(Engine::new(None).unwrap(), journal), RoomsOptions::default()).0
    }

    fn room(number: usize) -> RoomId {
        RoomId { machine: "counter".parse().unwrap(), room: format!("room-{number}").parse().unwrap() }
    }

    #[tokio::test]
    async fn who_asks_for_a_room_and_goes_leaves_no_place_taken() {
        let directory = tempfile::tempdir().unwrap();
        let rooms = rooms(&directory);
        for number in 0..20 {
            let id = room(number);
            let mut asked = pin!(rooms.find(&id));
            let polled = std::future::poll_fn(|context| Poll::Ready(asked.as_mut().poll(context))).await;
            assert!(polled.is_pending(), "the journal cannot have been read yet");
        }
        let free = async {
            while !rooms.shared.slots().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, free).await.expect("places stay taken");
    }

    #[tokio::test]
    async fn a_newcomer_to_a_host_that_stops_is_told_so_and_not_that_it_is_full() {
        let directory = tempfile::tempdir().unwrap();
        let rooms = rooms(&directory);
        rooms.shared.slots().extend((0..ROOMS_AWAKE_MAX).map(|number| (room(number), Slot::default())));
        let newcomer = room(ROOMS_AWAKE_MAX);
        assert!(matches!(rooms.find(&newcomer).await, Err(EnterError::Full)));
        rooms.stop().await;
        assert!(matches!(rooms.find(&newcomer).await, Err(EnterError::ShuttingDown)));
    }

    #[tokio::test]
    async fn a_newcomer_takes_the_place_of_an_unused_room_that_falls_asleep() {
        let directory = tempfile::tempdir().unwrap();
        let rooms = rooms(&directory);
        rooms.shared.slots().extend((0..ROOMS_AWAKE_MAX).map(|number| (room(number), Slot::default())));
        let share = rooms.shared.context.memory.admit(&room(0), 0).await.unwrap();
        let (controls, mut asked) = mpsc::channel(1);
        share.open(controls);
        share.note(0, Usage::InUse);
        assert!(matches!(rooms.slot(&room(ROOMS_AWAKE_MAX)).await, Err(EnterError::Full)));
        share.note(0, Usage::Unused(Instant::now()));
        let newcomer = rooms.clone();
        let newcomer = tokio::spawn(async move { newcomer.slot(&room(ROOMS_AWAKE_MAX)).await.is_ok() });
        let asked = tokio::time::timeout(PATIENCE, asked.recv()).await.expect("the room is not asked");
        assert!(matches!(asked, Some(Command::MakeSpace)));
        rooms.shared.slots().remove(&room(0));
        drop(share);
        assert!(newcomer.await.unwrap(), "the newcomer is refused");
    }
}
