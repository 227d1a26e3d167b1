//! The memory of all rooms that are awake: one budget of bytes for the whole host.
//!
//! ```text
//!  Rooms::wake ──try_grow──▶ Share ◀──note, after each turn── Task
//!       │                      │ bytes, unused since
//!       │ does not fit         ▼
//!       └──make_space──▶ RoomsMemory ──MakeSpace──▶ the rooms that were unused for longest: they fall asleep
//! ```
//!
//! Each room counts its machines' memories, its history and what waits for it. A room that is woken takes its share first, and is refused if that
//! does not fit although all unused rooms have fallen asleep. A room that grows is never refused: then unused rooms fall asleep, and
//! newcomers wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reapply_sync::RoomId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

use super::budget::{Budget, Wanted};
use super::command::Command;
use super::error::NoMemory;
use super::limits::{MAKE_SPACE_INTERVAL, MAKE_SPACE_WITHIN, NEED_REMEMBERED_FOR, NEEDS_REMEMBERED_MAX, ROOM_BYTES};

/// The memory for the rooms of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct RoomsMemory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    budget: Budget,
    began: Instant,
    awake: Mutex<HashMap<RoomId, Holder>>,
    /// The bytes that rooms needed when they were opened and refused.
    needs: Mutex<HashMap<RoomId, Need>>,
}

/// The bytes that a room needed when it was refused.
#[derive(Debug)]
struct Need {
    bytes: usize,
    since: Instant,
}

/// A room that is awake, as others see it.
#[derive(Debug)]
struct Holder {
    held: Arc<Held>,
    controls: mpsc::Sender<Command>,
}

#[derive(Debug)]
struct Held {
    bytes: AtomicUsize,
    /// The time of the last use in microseconds since the budget began, if the room may fall asleep; otherwise [`IN_USE`].
    unused_since: AtomicU64,
}

/// Later than any time of the last use.
const IN_USE: u64 = u64::MAX;

/// One room's share, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    memory: RoomsMemory,
    room: RoomId,
    held: Arc<Held>,
    /// Those who wait until the room is asleep.
    waiting: Vec<oneshot::Sender<()>>,
}

impl RoomsMemory {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Shared {
            budget: Budget::new(bytes_max),
            began: Instant::now(),
            awake: Mutex::default(),
            needs: Mutex::default(),
        }))
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// Returns the bytes that a room holds; 0 if it is asleep.
    pub(super) fn of(&self, room: &RoomId) -> usize {
        self.awake().get(room).map_or(0, |holder| holder.held.bytes.load(Ordering::Relaxed))
    }

    /// Takes a share for a room that is about to be opened: as much as it needed the last time, if it was refused then.
    ///
    /// # Errors
    ///
    /// There is not enough memory, although all unused rooms have fallen asleep.
    pub(super) async fn admit(&self, room: &RoomId) -> Result<Share, NoMemory> {
        let remembered =
            self.needs().get(room).filter(|need| need.since.elapsed() < NEED_REMEMBERED_FOR).map(|need| need.bytes);
        let needed = remembered.unwrap_or(ROOM_BYTES);
        let held = Arc::new(Held { bytes: AtomicUsize::new(0), unused_since: AtomicU64::new(IN_USE) });
        let share = Share { memory: self.clone(), room: room.clone(), held, waiting: Vec::new() };
        share.grow_to(needed, 0).await?;
        Ok(share)
    }

    /// Waits until the rooms hold more than the budget, and puts unused ones to sleep; again and again, until `is_over`.
    pub(super) async fn keep(&self, is_over: impl Fn() -> bool) {
        loop {
            self.budget().exceeded().await;
            if is_over() {
                return;
            }
            let _is_enough = self.make_space(Wanted::NOTHING, || self.budget().missing(Wanted::NOTHING) == 0).await;
            tokio::time::sleep(MAKE_SPACE_INTERVAL).await;
        }
    }

    /// Makes [`RoomsMemory::keep`] look whether it is over.
    pub(super) fn stop(&self) {
        self.budget().tell_exceeded();
    }

    /// Puts unused rooms to sleep, those first that were unused for longest, until what is wanted
    /// `fits`. Returns whether it does.
    async fn make_space(&self, wanted: Wanted, fits: impl Fn() -> bool) -> bool {
        let deadline = (Instant::now() + MAKE_SPACE_WITHIN).into();
        while !fits() {
            let asked = self.ask_unused(self.budget().missing(wanted), wanted.counted > 0);
            if asked.is_empty() {
                return false;
            }
            for asleep in asked {
                // The room drops the sender when it is asleep, or is used after all.
                if timeout_at(deadline, asleep).await.is_err() {
                    return fits();
                }
            }
        }
        true
    }

    /// Asks as many unused rooms as hold the missing bytes to fall asleep, and one at least. Asks none if they
    /// `must_suffice` and do not.
    fn ask_unused(&self, missing: usize, must_suffice: bool) -> Vec<oneshot::Receiver<()>> {
        let mut missing = missing.max(1);
        let awake = self.awake();
        let since = |holder: &&Holder| holder.held.unused_since.load(Ordering::Relaxed);
        let mut unused: Vec<&Holder> = awake.values().filter(|holder| since(holder) != IN_USE).collect();
        let held = |holder: &&Holder| holder.held.bytes.load(Ordering::Relaxed);
        if must_suffice && unused.iter().map(held).fold(0, usize::saturating_add) < missing {
            return Vec::new();
        }
        unused.sort_by_key(since);
        let mut asked = Vec::new();
        for holder in unused {
            if missing == 0 {
                break;
            }
            let (sender, asleep) = oneshot::channel();
            // A room whose queue is full is not unused.
            if holder.controls.try_send(Command::MakeSpace { asleep: sender }).is_ok() {
                missing = missing.saturating_sub(holder.held.bytes.load(Ordering::Relaxed));
                asked.push(asleep);
            }
        }
        asked
    }

    fn awake(&self) -> MutexGuard<'_, HashMap<RoomId, Holder>> {
        self.0.awake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn needs(&self) -> MutexGuard<'_, HashMap<RoomId, Need>> {
        self.0.needs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes as much as a room needs that was opened: these bytes, and those of every room.
    ///
    /// # Errors
    ///
    /// There is not enough memory, although all unused rooms have fallen asleep.
    pub(super) async fn take(&self, bytes: usize) -> Result<(), NoMemory> {
        let needed = bytes + ROOM_BYTES;
        let taken = self.grow_to(needed, needed).await;
        let mut needs = self.memory.needs();
        match &taken {
            Ok(()) => drop(needs.remove(&self.room)),
            Err(_) => {
                if needs.len() >= NEEDS_REMEMBERED_MAX {
                    needs.clear();
                }
                needs.insert(self.room.clone(), Need { bytes: needed, since: Instant::now() });
            }
        }
        taken
    }

    /// Makes the room one that others may ask for its memory.
    pub(super) fn open(&self, controls: mpsc::Sender<Command>) {
        let holder = Holder { held: Arc::clone(&self.held), controls };
        self.memory.awake().insert(self.room.clone(), holder);
    }

    /// Notes what the room holds after a turn, and since when it is unused, if it is.
    pub(super) fn note(&self, bytes: usize, unused_since: Option<Instant>) {
        let bytes = bytes + ROOM_BYTES;
        let since = |at: Instant| at.saturating_duration_since(self.memory.0.began).as_micros();
        let unused_since = unused_since.map_or(IN_USE, |at| u64::try_from(since(at)).unwrap_or(IN_USE - 1));
        let former = self.held.bytes.swap(bytes, Ordering::Relaxed);
        let budget = self.memory.budget();
        budget.add(bytes);
        budget.subtract(former);
        let former_since = self.held.unused_since.swap(unused_since, Ordering::Relaxed);
        let has_changed = bytes > former || (former_since == IN_USE && unused_since != IN_USE);
        if has_changed && budget.counted() > budget.bytes_max() {
            budget.tell_exceeded();
        }
    }

    /// Tells somebody when the room is asleep.
    pub(super) fn tell_asleep(&mut self, asleep: oneshot::Sender<()>) {
        self.waiting.push(asleep);
    }

    /// Grows to these bytes, of which some may be resident already.
    async fn grow_to(&self, needed: usize, resident: usize) -> Result<(), NoMemory> {
        let more = needed.saturating_sub(self.held.bytes.load(Ordering::Relaxed));
        let wanted = Wanted { counted: more, resident: more.saturating_sub(resident) };
        let budget = self.memory.budget();
        if self.memory.make_space(wanted, || budget.try_take(wanted)).await {
            self.held.bytes.fetch_add(wanted.counted, Ordering::Relaxed);
            return Ok(());
        }
        let bytes_max = budget.bytes_max();
        Err(NoMemory { needed, free: bytes_max.saturating_sub(budget.used()), bytes_max })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut awake = self.memory.awake();
        // A room that was refused has not opened, and its name may be another's by now.
        if awake.get(&self.room).is_some_and(|holder| Arc::ptr_eq(&holder.held, &self.held)) {
            awake.remove(&self.room);
        }
        self.memory.budget().subtract(self.held.bytes.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn unused_rooms_stay_awake_if_their_sleep_would_not_help() {
        let memory = RoomsMemory::new(1 << 20);
        // The process holds more than the budget, as if the newcomer were open.
        let machine = vec![1_u8; 100 << 20];
        let id = |room: &str| RoomId { machine: "counter".parse().unwrap(), room: room.parse().unwrap() };
        let unused = memory.admit(&id("unused")).await.unwrap();
        let (controls, mut asked) = mpsc::channel(1);
        unused.open(controls);
        unused.note(500 << 10, Some(Instant::now()));
        let newcomer = memory.admit(&id("newcomer")).await.unwrap();
        assert!(newcomer.take(machine.len()).await.is_err());
        assert!(asked.try_recv().is_err(), "a room was asked to sleep for one that does not fit");
        // A remembered need is refused before the room is opened.
        drop(newcomer);
        assert!(memory.admit(&id("newcomer")).await.is_err());
        assert!(memory.admit(&id("another")).await.is_ok());
        drop(std::hint::black_box(machine));
    }
}
