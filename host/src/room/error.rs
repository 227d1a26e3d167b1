//! The errors of opening, entering, showing and upgrading rooms, and of looking at their past.

use std::sync::Arc;

use reapply_journal::JournalError;
use reapply_machine::JobPanicked;
use reapply_sync::event::Damage;
use reapply_sync::limits::OPTIONS_BYTES_MAX;
use reapply_sync::room::UpgradeFailed;
use reapply_sync::{Fault, Name, OpenError, RoomId, Seq, Timestamp};

use super::limits::ROOMS_AWAKE_MAX;
use crate::clock::rfc3339;
use crate::log::LogError;
use crate::machines::MachinesError;

/// The reason why a room could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenRoomError {
    /// No machine of that name is deployed, so there is no such room either.
    #[error("there is no machine {0}; deploy it first: reapply deploy DIR")]
    NoSuchMachine(Name),
    /// The room has not begun, but must exist already.
    #[error("there is no room {0}; it begins when someone connects to it")]
    NoSuchRoom(RoomId),
    /// The room has begun, but must not exist yet.
    #[error("the room {0} exists already")]
    RoomExists(RoomId),
    /// The options of a new room have this many bytes, which are too many.
    #[error("the options have {0} bytes; the limit is {OPTIONS_BYTES_MAX}")]
    OptionsTooLarge(usize),
    /// The machine refuses the options of a new room.
    #[error("the machine refuses these options: {0}")]
    OptionsRefused(String),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal could not store the new room, so the room has not begun.
    #[error("{0}; the room has not begun: try again")]
    NotStored(JournalError),
    /// The room's build could not be loaded.
    #[error(transparent)]
    Machines(#[from] MachinesError),
    /// The machine did not start.
    #[error("the machine did not start: {0}")]
    Start(#[from] Fault),
    /// The room's state could not be rebuilt from its log.
    #[error("the room {room} could not be opened: {error}")]
    Open {
        /// The room.
        room: RoomId,
        /// The cause.
        error: OpenError,
    },
    /// The log is damaged.
    #[error("the log of {room} is damaged: {damage}")]
    Damaged {
        /// The room.
        room: RoomId,
        /// The place and the kind of the damage.
        damage: Damage,
    },
}

impl OpenRoomError {
    /// Returns whether the room itself is the cause, so that trying again at once would fail again.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            Self::Start(_) | Self::Open { .. } | Self::Damaged { .. } => true,
            Self::Machines(error) => !matches!(error, MachinesError::Journal(_)),
            Self::NoSuchMachine(_) | Self::NoSuchRoom(_) | Self::RoomExists(_) | Self::Journal(_) => false,
            Self::OptionsTooLarge(_) | Self::OptionsRefused(_) | Self::NotStored(_) => false,
        }
    }
}

impl From<LogError> for OpenRoomError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Journal(error) => Self::Journal(error),
            LogError::Damaged { room, damage } => Self::Damaged { room, damage },
        }
    }
}

/// The reason why a room cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The room could not be opened.
    #[error(transparent)]
    Open(#[from] OpenRoomError),
    /// The room does not open, or broke, and the cause lasts. Everybody who asks gets this text; the operator was told.
    #[error("{0}")]
    Troubled(Arc<str>),
    /// The host is at its limit of rooms that are awake.
    #[error("{ROOMS_AWAKE_MAX} rooms are awake, which is the host's limit; try again later")]
    Full,
    /// The host has no memory for the room now.
    #[error(transparent)]
    NoMemory(#[from] NoMemory),
    /// The host is stopping.
    #[error("the host is shutting down")]
    ShuttingDown,
}

/// The rooms that are awake leave too little of the host's memory for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the room needs {} of memory, and the rooms that are awake leave {} of the {} that the host has for rooms; try again later",
    mebibytes(*needed), mebibytes(*free), mebibytes(*bytes_max)
)]
pub struct NoMemory {
    /// The bytes that the room needs.
    pub needed: usize,
    /// The bytes that are free.
    pub free: usize,
    /// The bytes that all rooms may hold together.
    pub bytes_max: usize,
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// The reason why a room cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The room cannot be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The machine faulted.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The reason why a room was not upgraded. The room keeps running its build, unchanged.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeRoomError {
    /// The room could not be woken.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The new build did not start.
    #[error("the new build does not start: {0}")]
    Start(#[from] Fault),
    /// The room refused the upgrade, or the journal did.
    #[error(transparent)]
    Failed(#[from] UpgradeFailed),
}

/// The reason why a past state could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The log ends before this event.
    #[error("the room's log ends at {head}; there is no state at {asked}")]
    Beyond {
        /// The event that was asked for.
        asked: Seq,
        /// The last event.
        head: Seq,
    },
    /// The room had not begun at that time.
    #[error("the room {room} began at {}; before that it has no state", rfc3339(*created))]
    Unborn {
        /// The room.
        room: RoomId,
        /// The time of its beginning.
        created: Timestamp,
    },
    /// That part of the log was trimmed.
    #[error("the log of {room} begins after event {begins}, at {}; earlier events are no longer kept", rfc3339(*time))]
    Before {
        /// The room.
        room: RoomId,
        /// The first seq with a state.
        begins: Seq,
        /// That event's time.
        time: Timestamp,
    },
    /// The room could not be read.
    #[error(transparent)]
    Open(#[from] OpenRoomError),
    /// The replay of the log failed, or gave another result than the log's.
    #[error(transparent)]
    Replay(#[from] reapply_sync::ReplayError),
    /// A build that the log names could not be loaded.
    #[error(transparent)]
    Machines(#[from] MachinesError),
    /// The host failed while it applied the log again.
    #[error(transparent)]
    Panicked(#[from] JobPanicked),
    /// The machine faulted.
    #[error(transparent)]
    Fault(#[from] Fault),
}
