//! All rooms of a host: finds those that are awake, wakes those that are not, and ensures that none is awake twice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reapply_journal::{JournalError, RejectionCount, Retention, RoomRecord};
use reapply_sync::limits::OPTIONS_BYTES_MAX;
use reapply_sync::{Name, RoomId};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, warn};

use super::command::{Command, Gone};
use super::error::{EnterError, OpenRoomError};
use super::followed::FollowedRooms;
use super::limits::{ROOMS_AWAKE_FOR_ALARMS_MAX, ROOMS_READ_MAX, SLEEP_AFTER_MIN};
use super::memory::RoomsMemory;
use super::open::Begin;
use super::replay::find;
use super::room::{News, Room};
use super::task::RoomContext;
use super::trims::TrimQueue;
use super::view::ViewMemory;
use crate::log::Logs;
use crate::system::rooms_memory_default;

/// The options of a host's rooms.
#[derive(Clone, Debug)]
pub struct RoomsOptions {
    /// The time without use after which a room goes to sleep, at least [`SLEEP_AFTER_MIN`].
    pub sleep_after: Duration,
    /// The bytes of memory for all rooms that are awake: their machines' memories, their histories, and what waits for them.
    pub memory_bytes_max: usize,
}

impl Default for RoomsOptions {
    fn default() -> Self {
        Self { sleep_after: Duration::from_secs(60), memory_bytes_max: rooms_memory_default() }
    }
}

/// The rooms of a host. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) logs: Logs,
    slots: Mutex<HashMap<RoomId, Slot>>,
    pub(super) followed: FollowedRooms,
    pub(super) context: RoomContext,
    pub(super) next_session: AtomicU64,
    stopping: AtomicBool,
}

/// A room's place. Its lock is held while the room is opened, so that it is opened once.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<Awake>>>;

pub(super) struct Awake {
    pub(super) room: Room,
    pub(super) task: JoinHandle<()>,
}

impl Rooms {
    /// Creates the rooms of these logs, all of them asleep. Logs that may be trimmed are offered to `trims`.
    pub(super) fn new(logs: Logs, options: RoomsOptions, trims: TrimQueue) -> Self {
        let context = RoomContext {
            journal: Arc::clone(&logs.journal),
            machines: logs.machines.clone(),
            view_memory: ViewMemory::new(),
            memory: RoomsMemory::new(options.memory_bytes_max),
            sleep_after: options.sleep_after.max(SLEEP_AFTER_MIN),
            trims: Arc::new(trims),
            troubles: Arc::default(),
            alarms_changed: Arc::default(),
            abandoned: Arc::default(),
        };
        Self {
            shared: Arc::new(Shared {
                logs,
                slots: Mutex::default(),
                followed: FollowedRooms::default(),
                context,
                next_session: AtomicU64::new(1),
                stopping: AtomicBool::new(false),
            }),
        }
    }

    /// Returns the room, and wakes it if it is asleep. A room that has not begun begins, with the default options.
    ///
    /// # Errors
    ///
    /// The room cannot be opened, [`ROOMS_AWAKE_MAX`](super::limits::ROOMS_AWAKE_MAX) rooms are awake, there is no memory for another one, or the host is stopping.
    pub async fn enter(&self, id: &RoomId) -> Result<Room, EnterError> {
        self.wake(id, Begin::IfNew, true).await
    }

    /// Returns the room if it has begun, and wakes it if it is asleep.
    ///
    /// # Errors
    ///
    /// There is no such room, it cannot be opened, [`ROOMS_AWAKE_MAX`](super::limits::ROOMS_AWAKE_MAX) rooms are awake, there is no memory for another one, or the host is stopping.
    pub async fn find(&self, id: &RoomId) -> Result<Room, EnterError> {
        self.wake(id, Begin::No, true).await
    }

    /// Begins a room with options of its own, as JSON; an empty text means the default options. They have at most
    /// [`OPTIONS_BYTES_MAX`] bytes.
    ///
    /// # Errors
    ///
    /// The room has begun already, the options are too large, its machine refuses them, it cannot be opened, [`ROOMS_AWAKE_MAX`](super::limits::ROOMS_AWAKE_MAX) rooms are
    /// awake, there is no memory for another one, or the host is stopping.
    pub async fn create(&self, id: &RoomId, options: String) -> Result<Room, EnterError> {
        if options.len() > OPTIONS_BYTES_MAX {
            return Err(OpenRoomError::OptionsTooLarge(options.len()).into());
        }
        self.wake(id, Begin::Only(options), true).await
    }

    /// Returns the logs of these rooms, and the builds that they run.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.shared.logs
    }

    /// Returns the number of participants in a room now, which is 0 if the room is asleep.
    #[must_use]
    pub fn participants(&self, id: &RoomId) -> usize {
        let slot = self.shared.slots().get(id).cloned();
        let awake = slot.as_ref().and_then(|slot| slot.try_lock().ok());
        awake.and_then(|awake| awake.as_ref().map(|awake| awake.room.news.borrow().participants)).unwrap_or(0)
    }

    /// Returns the room's troubles as texts: why it does not open, or stores no snapshots. The list is empty for a room without troubles.
    #[must_use]
    pub fn troubles(&self, id: &RoomId) -> Vec<Arc<str>> {
        self.shared.context.troubles.of(id)
    }

    /// Checks that the room has no trouble for which it is not opened now.
    ///
    /// # Errors
    ///
    /// The room did not open, or broke, and it is too early to try again.
    pub(super) fn check_trouble(&self, id: &RoomId) -> Result<(), EnterError> {
        self.shared.context.troubles.closed(id).map_or(Ok(()), |cause| Err(EnterError::Troubled(cause)))
    }

    /// Returns the bytes of memory that the rooms hold at most, and the maximum for all of them.
    #[must_use]
    pub fn memory(&self) -> (usize, usize) {
        let budget = self.shared.context.memory.budget();
        (budget.used(), budget.bytes_max())
    }

    /// Returns the bytes of memory that a room counts; 0 if it is asleep.
    #[must_use]
    pub fn memory_of(&self, id: &RoomId) -> usize {
        self.shared.context.memory.of(id)
    }

    /// Puts unused rooms to sleep whenever the rooms hold too much, until the host stops.
    pub(super) async fn keep_memory(&self) {
        self.shared.context.memory.keep().await;
    }

    /// Returns whether a room is awake now.
    #[must_use]
    pub fn is_awake(&self, id: &RoomId) -> bool {
        let slot = self.shared.slots().get(id).cloned();
        // A room that is being opened is about to be awake.
        slot.is_some_and(|slot| {
            slot.try_lock().map_or(true, |awake| awake.as_ref().is_some_and(|awake| !awake.room.is_gone()))
        })
    }

    /// Sets the part of their past that a machine's rooms keep. Rooms that are awake follow it at once, and logs that it allows to trim are trimmed
    /// soon.
    ///
    /// # Errors
    ///
    /// There is no such machine, or the journal does not store it.
    pub async fn retain(&self, machine: &Name, retention: Retention) -> Result<(), JournalError> {
        self.logs().journal.set_retention(machine, retention.clone()).await?;
        // A room that is being opened may have read the former retention.
        let slots = self.shared.slots().clone();
        for (_, slot) in slots.into_iter().filter(|(id, _)| id.machine == *machine) {
            if let Some(awake) = &*slot.lock().await {
                let _gone = awake.room.tell(Command::Retain(retention.clone())).await;
            }
        }
        if retention.trim {
            let (rooms, machine) = (self.clone(), machine.clone());
            tokio::spawn(async move {
                if let Err(why) = rooms.offer_all(&machine).await {
                    warn!(%machine, %why, "not all logs were queued to be trimmed; each will be at its next checkpoint");
                }
            });
        }
        Ok(())
    }

    /// Returns the counts of rejected transitions in a room, by author and kind.
    ///
    /// # Errors
    ///
    /// There is no such room, or the journal fails.
    pub async fn rejections(&self, id: &RoomId) -> Result<Vec<RejectionCount>, JournalError> {
        if let Some(room) = self.awake(id).await {
            // If the room falls asleep meanwhile, it passes its counts as well.
            let _gone = room.tell_tally().await;
        }
        self.logs().journal.rejections(id).await
    }

    /// Puts all rooms to sleep: sessions end, accepted events become durable, and snapshots that are due are taken. No room wakes afterwards.
    pub async fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.followed.ring_all();
        self.shared.context.alarms_changed.notify_one();
        self.shared.context.abandoned.notify_one();
        self.shared.context.memory.stop();
        let slots: Vec<Slot> = self.shared.slots().values().cloned().collect();
        let mut tasks = Vec::new();
        for slot in slots {
            if let Some(awake) = slot.lock().await.take() {
                let _gone = awake.room.tell(Command::Stop).await;
                tasks.push(awake.task);
            }
        }
        for task in tasks {
            if let Err(error) = task.await {
                error!(%error, "a room's task panicked");
            }
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::SeqCst)
    }

    pub(super) fn followed(&self) -> &FollowedRooms {
        &self.shared.followed
    }

    /// Returns the news of a room, if it is awake.
    pub(super) async fn news(&self, id: &RoomId) -> Option<watch::Receiver<News>> {
        self.awake(id).await.map(|room| room.news())
    }

    /// Wakes a sleeping room for its alarm, or for participants who are gone, and waits until the outcome is stored. This is not a use, so the
    /// room then goes back to sleep.
    pub(super) async fn ring(&self, id: &RoomId) -> Result<(), EnterError> {
        while let Err(Gone) = self.wake(id, Begin::No, false).await?.ring().await {}
        Ok(())
    }

    /// Returns the record of a room, after participants without a session have left its log: those who were present when a host ended. The record
    /// of a room that cannot be opened is returned as it is.
    ///
    /// # Errors
    ///
    /// There is no such room, the journal fails, or the host has no place or memory for the room now.
    pub async fn settled(&self, id: &RoomId) -> Result<RoomRecord, EnterError> {
        let record = find(&self.shared.logs, id).await?;
        if !record.note.is_occupied {
            return Ok(record);
        }
        match self.rouse(id).await {
            Ok(()) => Ok(find(&self.shared.logs, id).await?),
            Err(EnterError::Open(_) | EnterError::Troubled(_)) => Ok(record),
            Err(error) => Err(error),
        }
    }

    /// Wakes a room if it is asleep. This is not a use, so the room goes back to sleep as soon as nothing is left to do.
    pub(super) async fn rouse(&self, id: &RoomId) -> Result<(), EnterError> {
        self.wake(id, Begin::No, false).await.map(drop)
    }

    /// Starts a search for sleeping rooms whose logs say that somebody is present. Call it when such a room may have been created.
    pub fn look_for_absent(&self) {
        self.shared.context.abandoned.notify_one();
    }

    /// Waits until there may be a room where somebody is present without a session, or the host stops.
    pub(super) async fn abandoned(&self) {
        self.shared.context.abandoned.notified().await;
    }

    /// Returns whether so many rooms are awake that alarms should not wake more.
    pub(super) fn are_many_awake(&self) -> bool {
        self.shared.slots().len() >= ROOMS_AWAKE_FOR_ALARMS_MAX
    }

    /// Waits until a room with an alarm has fallen asleep, or the host stops.
    pub(super) async fn alarms_changed(&self) {
        self.shared.context.alarms_changed.notified().await;
    }

    /// Offers the logs of all rooms of a machine to be trimmed.
    async fn offer_all(&self, machine: &Name) -> Result<(), JournalError> {
        let mut after = None;
        loop {
            let rooms = self.logs().journal.rooms(Some(machine), after.as_ref(), ROOMS_READ_MAX).await?;
            let Some(last) = rooms.last() else { return Ok(()) };
            after = Some(last.room.clone());
            for room in rooms {
                self.shared.context.trims.offer_when_free(&room.room).await;
            }
        }
    }

    /// Returns a room, if it is awake.
    pub(super) async fn awake(&self, id: &RoomId) -> Option<Room> {
        let slot = self.shared.slots().get(id).cloned()?;
        let awake = slot.lock().await;
        awake.as_ref().filter(|awake| !awake.room.is_gone()).map(|awake| awake.room.clone())
    }
}

impl Shared {
    pub(super) fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<RoomId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
