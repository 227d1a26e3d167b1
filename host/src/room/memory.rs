//! The memory of all rooms that are awake: one budget of bytes for the whole host.
//!
//! ```text
//!  Rooms::wake ──grow_to──▶ Share ◀──note, after each turn── Task
//!       │                     │ bytes, usage      ▲
//!       │ does not fit        ▼                   │ MakeSpace: those that were unused for longest fall asleep
//!       └──make_space──▶ RoomsMemory ─────────────┘
//!              ▲              │ freed: a share was given back
//!              └──────────────┘
//! ```
//!
//! Each room counts its machines' memories, its history and what waits for it. A room that is woken takes its share first: as much as it is
//! expected to need. If that does not fit, unused rooms fall asleep, and the newcomer waits for their memory, and for that of rooms which are
//! only used for a moment. If it still does not fit, the room may need less than expected. Such rooms are opened one after the other, and are refused
//! if they do not fit as they are. A room that grows is never refused: then unused rooms fall asleep, and newcomers wait.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reapply_sync::RoomId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout_at;

use super::budget::{Budget, Wanted};
use super::command::Command;
use super::error::NoMemory;
use super::limits::{
    HANDLE_USED_WITHIN, MAKE_SPACE_AT_ONCE, MAKE_SPACE_INTERVAL, MAKE_SPACE_WITHIN, NEED_REMEMBERED_FOR,
    NEEDS_REMEMBERED_MAX, ROOM_BYTES, SPACE_LOOK_INTERVAL,
};

/// The memory for the rooms of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct RoomsMemory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    budget: Budget,
    holders: Mutex<HashMap<RoomId, Holder>>,
    /// The bytes that rooms needed when they were opened and refused.
    needs: Mutex<HashMap<RoomId, Need>>,
    /// The places of newcomers who look for space. Those who find none wait for one.
    looking: Semaphore,
    /// The place of a room that is opened although it may need more memory than there is.
    doubtful: Arc<Semaphore>,
    /// Told whenever a share was given back.
    freed: Notify,
}

/// The bytes that a room needed when it was refused.
#[derive(Debug)]
struct Need {
    bytes: usize,
    since: Instant,
}

/// A room that holds memory, as others see it.
#[derive(Debug)]
struct Holder {
    held: Arc<Mutex<Held>>,
    /// The queue of the room's task. `None` while the room is being opened.
    controls: Option<mpsc::Sender<Command>>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    bytes: usize,
    usage: Usage,
}

/// The use of a room, as far as it matters to those who need its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// The room has sessions, or its alarm goes off soon: it stays awake.
    InUse,
    /// The room is being opened, or is answering its last requests: it may soon be unused.
    Passing,
    /// The room has been unused since then, and may fall asleep.
    Unused(Instant),
    /// The room is falling asleep, or was asked to: its memory is about to be free.
    Ending,
}

/// The rooms whose memory somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hope {
    /// Unused rooms, those that are falling asleep, and those that are only used for a moment.
    Passing,
    /// Also rooms that are being opened, which may wait for others themselves. So a room that holds memory does not wait for them.
    Opening,
}

/// Handles to the queue of a room's task that the host itself has: this one, and that of the list of awake rooms.
const HANDLES_OF_THE_HOST: usize = 2;

/// One room's share, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    memory: RoomsMemory,
    room: RoomId,
    held: Arc<Mutex<Held>>,
    /// The bytes that the room is expected to need and has not, as long as it is being opened.
    opening: usize,
    /// The place of a room that may need more memory than there is, until it has taken what it needs.
    doubtful: Option<OwnedSemaphorePermit>,
}

impl RoomsMemory {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Shared {
            budget: Budget::new(bytes_max),
            holders: Mutex::default(),
            needs: Mutex::default(),
            looking: Semaphore::new(MAKE_SPACE_AT_ONCE),
            doubtful: Arc::new(Semaphore::new(1)),
            freed: Notify::new(),
        }))
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// Returns the bytes that a room holds; 0 if it is asleep.
    pub(super) fn of(&self, room: &RoomId) -> usize {
        self.holders().get(room).map_or(0, |holder| lock(&holder.held).bytes)
    }

    /// Takes a share for a room that is about to be opened: as many bytes as it is expected to need besides those of every room, or as much as it
    /// needed the last time, if it was refused then.
    ///
    /// # Errors
    ///
    /// There is not enough memory, even with that of all unused rooms.
    pub(super) async fn admit(&self, room: &RoomId, expected: usize) -> Result<Share, NoMemory> {
        let deadline = in_time();
        let remembered =
            self.needs().get(room).filter(|need| need.since.elapsed() < NEED_REMEMBERED_FOR).map(|need| need.bytes);
        let held = Arc::new(Mutex::new(Held { bytes: 0, usage: Usage::Passing }));
        self.holders().insert(room.clone(), Holder { held: Arc::clone(&held), controls: None });
        let mut share = Share { memory: self.clone(), room: room.clone(), held, opening: 0, doubtful: None };
        let needed = remembered.unwrap_or(expected.saturating_add(ROOM_BYTES));
        let Err(error) = share.grow_to(needed, 0, Hope::Opening, deadline).await else { return Ok(share) };
        if remembered.is_some() {
            return Err(error);
        }
        let place = timeout_at(deadline.into(), Arc::clone(&self.0.doubtful).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(error) };
        share.doubtful = Some(place);
        share.grow_to(ROOM_BYTES, 0, Hope::Opening, deadline).await?;
        Ok(share)
    }

    /// Waits until the rooms hold more than the budget, and puts unused ones to sleep; again and again, until [`RoomsMemory::stop`].
    pub(super) async fn keep(&self) {
        loop {
            self.budget().exceeded().await;
            if self.is_stopping() {
                return;
            }
            let fits = || self.budget().missing(Wanted::NOTHING) == 0;
            let _is_enough = self.make_space(Wanted::NOTHING, Hope::Passing, in_time(), fits).await;
            tokio::time::sleep(MAKE_SPACE_INTERVAL).await;
        }
    }

    /// Puts unused rooms to sleep until a newcomer has a place among the rooms that are awake, which `is_found` tries to take. Gives up if there is no
    /// hope of one, or after a while.
    pub(super) async fn make_place(&self, is_found: impl Fn() -> bool) {
        self.make_space(Wanted::NOTHING, Hope::Opening, in_time(), is_found).await;
    }

    /// Ends all waits: no room needs memory any more.
    pub(super) fn stop(&self) {
        // Nobody finds a place to look from again.
        self.0.looking.close();
        self.0.doubtful.close();
        self.0.freed.notify_waiters();
        self.budget().tell_exceeded();
    }

    fn is_stopping(&self) -> bool {
        self.0.looking.is_closed()
    }

    /// Puts unused rooms to sleep, those first that were unused for longest, and waits until what is wanted `fits`. Returns whether it does.
    async fn make_space(&self, wanted: Wanted, hope: Hope, deadline: Instant, fits: impl Fn() -> bool) -> bool {
        let mut acquiring = pin!(self.0.looking.acquire());
        // Only those who hold no memory wait for a place: nobody waits for them.
        let (needs_place, mut place) = (hope == Hope::Opening, None);
        loop {
            let mut freed = pin!(self.0.freed.notified());
            // Before the look at the rooms, so that no share is missed.
            freed.as_mut().enable();
            if fits() {
                return true;
            }
            let now = Instant::now();
            if now >= deadline || self.is_stopping() {
                return false;
            }
            let freed = timeout_at(deadline.min(now + SPACE_LOOK_INTERVAL).into(), freed);
            if needs_place && place.is_none() {
                tokio::select! {
                    biased;
                    acquired = acquiring.as_mut() => place = Some(acquired),
                    _freed = freed => {}
                }
                continue;
            }
            if !self.ask_unused(self.budget().missing(wanted), wanted.counted > 0, hope) {
                // The last room that was hoped for may have gone meanwhile.
                return fits();
            }
            let _freed = freed.await;
        }
    }

    /// Asks as many unused rooms to fall asleep as hold the bytes that are missing beyond those of rooms which are falling asleep already, and one at
    /// least. Returns whether it helps to wait. If the bytes `must_suffice` and cannot, no room is asked.
    fn ask_unused(&self, missing: usize, must_suffice: bool, hope: Hope) -> bool {
        let missing = missing.max(1);
        let holders = self.holders();
        let (mut ending, mut passing, mut unused) = (0_usize, 0_usize, Vec::new());
        for holder in holders.values() {
            let bytes = lock(&holder.held).bytes;
            match holder.usage() {
                Usage::Ending => ending = ending.saturating_add(bytes),
                Usage::Unused(since) => unused.push((since, bytes, holder)),
                Usage::Passing if hope >= holder.hope() => passing = passing.saturating_add(bytes),
                Usage::Passing | Usage::InUse => {}
            }
        }
        let asked_for = unused.iter().map(|(_, bytes, _)| *bytes).fold(0, usize::saturating_add);
        let hoped_for = ending.saturating_add(passing).saturating_add(asked_for);
        if if must_suffice { hoped_for < missing } else { hoped_for == 0 } {
            return false;
        }
        unused.sort_by_key(|(since, ..)| *since);
        let mut missing = missing.saturating_sub(ending);
        for (_, bytes, holder) in unused {
            if missing == 0 {
                break;
            }
            // The room answers with its next note, which waits for this lock.
            let mut held = lock(&holder.held);
            // A room whose queue is full is not unused.
            if holder.controls.as_ref().is_some_and(|controls| controls.try_send(Command::MakeSpace).is_ok()) {
                held.usage = Usage::Ending;
                missing = missing.saturating_sub(bytes);
            }
        }
        true
    }

    /// Wakes those who wait for memory or a place: there may be more now.
    pub(super) fn tell_freed(&self) {
        self.0.freed.notify_waiters();
    }

    fn holders(&self) -> MutexGuard<'_, HashMap<RoomId, Holder>> {
        lock(&self.0.holders)
    }

    fn needs(&self) -> MutexGuard<'_, HashMap<RoomId, Need>> {
        lock(&self.0.needs)
    }
}

impl Holder {
    /// Returns how the room is used. Whoever has just got a handle to the room has not used it yet, and is about to.
    fn usage(&self) -> Usage {
        let has_handles = self.controls.as_ref().is_some_and(|controls| controls.strong_count() > HANDLES_OF_THE_HOST);
        match lock(&self.held).usage {
            Usage::Unused(since) if has_handles && since.elapsed() < HANDLE_USED_WITHIN => Usage::Passing,
            usage => usage,
        }
    }

    /// Returns the hope that includes this room while it is used for a moment.
    fn hope(&self) -> Hope {
        if self.controls.is_some() { Hope::Passing } else { Hope::Opening }
    }
}

impl Share {
    /// Takes exactly as much as a room needs that was opened: these bytes, and those of every room.
    ///
    /// # Errors
    ///
    /// There is not enough memory, even with that of all unused rooms.
    pub(super) async fn take(&mut self, bytes: usize) -> Result<(), NoMemory> {
        let needed = bytes + ROOM_BYTES;
        // The process has them now.
        self.memory.budget().end_opening(std::mem::take(&mut self.opening));
        self.shrink_to(needed);
        let taken = self.grow_to(needed, needed, Hope::Passing, in_time()).await;
        self.doubtful = None;
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
        let holder = Holder { held: Arc::clone(&self.held), controls: Some(controls) };
        self.memory.holders().insert(self.room.clone(), holder);
    }

    /// Notes what the room holds after a turn, and how it is used.
    pub(super) fn note(&self, bytes: usize, usage: Usage) {
        let held = Held { bytes: bytes + ROOM_BYTES, usage };
        let budget = self.memory.budget();
        let former = {
            // The bytes are free before the room is one that holds fewer. Otherwise others would take them for lost.
            let mut noted = lock(&self.held);
            budget.add(held.bytes);
            budget.subtract(noted.bytes);
            std::mem::replace(&mut *noted, held)
        };
        let is_unused = |usage| matches!(usage, Usage::Unused(_));
        let is_newly_unused = is_unused(usage) && !is_unused(former.usage);
        if (held.bytes > former.bytes || is_newly_unused) && budget.counted() > budget.bytes_max() {
            budget.tell_exceeded();
        }
    }

    /// Gives back all beyond these bytes.
    fn shrink_to(&self, needed: usize) {
        let mut held = lock(&self.held);
        let excess = held.bytes.saturating_sub(needed);
        self.memory.budget().subtract(excess);
        held.bytes -= excess;
        drop(held);
        if excess > 0 {
            self.memory.tell_freed();
        }
    }

    /// Grows to these bytes, of which some may be resident already.
    async fn grow_to(&mut self, needed: usize, resident: usize, hope: Hope, deadline: Instant) -> Result<(), NoMemory> {
        let more = needed.saturating_sub(lock(&self.held).bytes);
        if more == 0 {
            return Ok(());
        }
        let wanted = Wanted { counted: more, resident: more.saturating_sub(resident) };
        let budget = self.memory.budget();
        let is_opening = resident == 0;
        if self.memory.make_space(wanted, hope, deadline, || budget.try_take(wanted, is_opening)).await {
            lock(&self.held).bytes += wanted.counted;
            if is_opening {
                self.opening += wanted.resident;
            }
            return Ok(());
        }
        let bytes_max = budget.bytes_max();
        Err(NoMemory { needed, free: bytes_max.saturating_sub(budget.used()), bytes_max })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let budget = self.memory.budget();
        budget.end_opening(self.opening);
        budget.subtract(lock(&self.held).bytes);
        let mut holders = self.memory.holders();
        // A room that was refused has not opened, and its name may be another's by now.
        if holders.get(&self.room).is_some_and(|holder| Arc::ptr_eq(&holder.held, &self.held)) {
            holders.remove(&self.room);
        }
        drop(holders);
        self.memory.tell_freed();
    }
}

fn in_time() -> Instant {
    Instant::now() + MAKE_SPACE_WITHIN
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
