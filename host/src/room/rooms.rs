//! All rooms of a host: finds the one that is awake, wakes the one that is not, and lets none be awake twice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reapply_sync::{RoomId, SessionId};
use tokio::task::JoinHandle;
use tracing::{debug, error};

use super::limits::ROOMS_AWAKE_MAX;
use super::open::{self, Begin, OpenRoomError};
use super::room::{Command, Room};
use super::task;
use crate::machine::Machines;

/// How rooms are kept.
#[derive(Clone, Debug)]
pub struct RoomsOptions {
    /// A room that nobody has used for so long goes to sleep.
    pub sleep_after: Duration,
}

impl Default for RoomsOptions {
    fn default() -> Self {
        Self { sleep_after: Duration::from_secs(60) }
    }
}

/// Why a room cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// It could not be opened.
    #[error(transparent)]
    Open(#[from] OpenRoomError),
    /// The host has as many rooms awake as it may.
    #[error("{ROOMS_AWAKE_MAX} rooms are awake, which is the host's limit; try again later")]
    Full,
    /// The host is stopping.
    #[error("the host is shutting down")]
    ShuttingDown,
}

/// The rooms of a host. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    shared: Arc<Shared>,
}

struct Shared {
    machines: Machines,
    options: RoomsOptions,
    slots: Mutex<HashMap<RoomId, Slot>>,
    next_session: AtomicU64,
    stopping: AtomicBool,
}

/// A room's place. Its lock is held while the room is opened, so that it is opened once.
type Slot = Arc<tokio::sync::Mutex<Option<Awake>>>;

struct Awake {
    room: Room,
    task: JoinHandle<()>,
}

impl Rooms {
    /// The rooms that `machines` and their journal hold; all of them asleep.
    #[must_use]
    pub fn new(machines: Machines, options: RoomsOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                machines,
                options,
                slots: Mutex::default(),
                next_session: AtomicU64::new(1),
                stopping: AtomicBool::new(false),
            }),
        }
    }

    /// The room, awake. One that has not begun begins, with the default options.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or the host has no room for it.
    pub async fn enter(&self, id: &RoomId) -> Result<Room, EnterError> {
        self.wake(id, Begin::IfNew).await
    }

    /// The room, awake, if it has begun.
    ///
    /// # Errors
    ///
    /// There is no such room, it cannot be opened, or the host has no room for it.
    pub async fn find(&self, id: &RoomId) -> Result<Room, EnterError> {
        self.wake(id, Begin::No).await
    }

    /// Begins a room with options of its own, as JSON.
    ///
    /// # Errors
    ///
    /// The room has begun already, its machine refuses the options, or it cannot be opened.
    pub async fn create(&self, id: &RoomId, options: String) -> Result<Room, EnterError> {
        self.wake(id, Begin::Only(options)).await
    }

    /// The machines that these rooms run.
    #[must_use]
    pub fn machines(&self) -> &Machines {
        &self.shared.machines
    }

    /// How many participants are in a room now; none in one that is asleep.
    #[must_use]
    pub fn participants(&self, id: &RoomId) -> usize {
        let slot = self.shared.slots().get(id).cloned();
        let awake = slot.as_ref().and_then(|slot| slot.try_lock().ok());
        awake.and_then(|awake| awake.as_ref().map(|awake| awake.room.news.borrow().participants)).unwrap_or(0)
    }

    /// Puts all rooms to sleep: their sessions end, what they accepted becomes durable, snapshots are taken. None wakes after it.
    pub async fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let slots: Vec<Slot> = self.shared.slots().values().cloned().collect();
        let mut tasks = Vec::new();
        for slot in slots {
            if let Some(awake) = slot.lock().await.take() {
                let _gone = awake.room.commands.send(Command::Stop).await;
                tasks.push(awake.task);
            }
        }
        for task in tasks {
            if let Err(error) = task.await {
                error!(%error, "a room's task did not end well");
            }
        }
    }

    async fn wake(&self, id: &RoomId, begin: Begin) -> Result<Room, EnterError> {
        loop {
            let slot = self.slot(id)?;
            let mut awake = slot.lock().await;
            if self.shared.stopping.load(Ordering::SeqCst) {
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
            // One that is falling asleep finishes first: its last records and its snapshot are on their way.
            if let Some(Awake { task, .. }) = awake.take() {
                let _ended = task.await;
            }
            return match open::open(&self.shared.machines, id, begin).await {
                Ok(sequencer) => {
                    debug!(room = %id, head = %sequencer.history().head(), "the room is awake");
                    let opened = self.start(id, sequencer);
                    let room = opened.room.clone();
                    *awake = Some(opened);
                    Ok(room)
                }
                Err(error) => {
                    drop(awake);
                    self.shared.forget(id, &slot);
                    Err(error.into())
                }
            };
        }
    }

    fn start(&self, id: &RoomId, sequencer: reapply_sync::Sequencer<crate::machine::Instance>) -> Awake {
        let shared = Arc::clone(&self.shared);
        let next_session = move || SessionId(shared.next_session.fetch_add(1, Ordering::Relaxed));
        let journal = Arc::clone(self.shared.machines.journal());
        let sleep_after = self.shared.options.sleep_after;
        let (room, run) = task::start(id.clone(), sequencer, journal, sleep_after, next_session);
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        let task = tokio::spawn(async move {
            run.await;
            let slot = shared.slots().get(&id).cloned();
            slot.inspect(|slot| shared.forget(&id, slot));
        });
        Awake { room, task }
    }

    fn slot(&self, id: &RoomId) -> Result<Slot, EnterError> {
        let mut slots = self.shared.slots();
        if slots.len() >= ROOMS_AWAKE_MAX && !slots.contains_key(id) {
            return Err(EnterError::Full);
        }
        Ok(Arc::clone(slots.entry(id.clone()).or_default()))
    }

    fn holds(&self, id: &RoomId, slot: &Slot) -> bool {
        self.shared.slots().get(id).is_some_and(|held| Arc::ptr_eq(held, slot))
    }
}

impl Shared {
    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<RoomId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up a slot whose room is not awake. Whoever has it in hand already notices, and takes a new one.
    fn forget(&self, id: &RoomId, slot: &Slot) {
        let mut slots = self.slots();
        let is_same = slots.get(id).is_some_and(|held| Arc::ptr_eq(held, slot));
        let is_asleep = slot.try_lock().is_ok_and(|awake| awake.as_ref().is_none_or(|awake| awake.room.is_gone()));
        if is_same && is_asleep {
            slots.remove(id);
        }
    }
}
