//! Why a room cannot be opened, entered, upgraded or seen as it was.

use std::sync::Arc;

use reapply_sync::event::Damage;
use reapply_sync::room::UpgradeFailed;
use reapply_sync::{Fault, Name, OpenError, RoomId, Seq, Timestamp};

use super::limits::ROOMS_AWAKE_MAX;
use crate::clock::rfc3339;
use crate::log::LogError;
use crate::machines::MachinesError;
use reapply_journal::JournalError;

/// Why a room could not be brought to life.
#[derive(Debug, thiserror::Error)]
pub enum OpenRoomError {
    /// There is no machine of that name, so there is no such room either.
    #[error("there is no machine {0}; deploy it first: reapply deploy DIR")]
    NoSuchMachine(Name),
    /// A room that must be there already is not.
    #[error("there is no room {0}; it begins when someone connects to it")]
    NoSuchRoom(RoomId),
    /// A room that must not be there yet is.
    #[error("the room {0} exists already")]
    RoomExists(RoomId),
    /// The machine refuses the options of a new room.
    #[error("the machine refuses these options: {0}")]
    OptionsRefused(String),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The machine is not to be had.
    #[error(transparent)]
    Machines(#[from] MachinesError),
    /// The machine did not start.
    #[error("the machine did not start: {0}")]
    Start(#[from] Fault),
    /// The room's state could not be made again from its log.
    #[error("the room {room} could not be opened: {error}")]
    Open {
        /// The room.
        room: RoomId,
        /// Why.
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
    /// Whether the room itself is to blame, so that trying again at once would come to the same.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            Self::Start(_) | Self::Open { .. } | Self::Damaged { .. } => true,
            Self::Machines(error) => !matches!(error, MachinesError::Journal(_)),
            Self::NoSuchMachine(_) | Self::NoSuchRoom(_) | Self::RoomExists(_) | Self::OptionsRefused(_) => false,
            Self::Journal(_) => false,
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

/// Why a room cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// It could not be opened.
    #[error(transparent)]
    Open(#[from] OpenRoomError),
    /// It does not open, or broke, for a cause that will last: the words that everybody hears. The operator was told.
    #[error("{0}")]
    Troubled(Arc<str>),
    /// The host has as many rooms awake as it may.
    #[error("{ROOMS_AWAKE_MAX} rooms are awake, which is the host's limit; try again later")]
    Full,
    /// The host is stopping.
    #[error("the host is shutting down")]
    ShuttingDown,
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

/// Why a room was not upgraded. It runs its build on, untouched.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeRoomError {
    /// The room could not be woken.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The new build does not start.
    #[error("the new build does not start: {0}")]
    Start(#[from] Fault),
    /// The room refused the upgrade, or the journal did.
    #[error(transparent)]
    Failed(#[from] UpgradeFailed),
}

/// Why a past state could not be made again.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The log does not go so far.
    #[error("the room's log ends at {head}; there is no state at {asked}")]
    Beyond {
        /// What was asked for.
        asked: Seq,
        /// The last event.
        head: Seq,
    },
    /// The room was not there yet.
    #[error("the room {room} began at {}; before that it has no state", rfc3339(*created))]
    Unborn {
        /// The room.
        room: RoomId,
        /// When it began.
        created: Timestamp,
    },
    /// The log does not go back so far any more.
    #[error("the log of {room} begins after event {begins}, at {}; what was before it is not kept", rfc3339(*time))]
    Before {
        /// The room.
        room: RoomId,
        /// The first seq that there is a state of.
        begins: Seq,
        /// That event's time.
        time: Timestamp,
    },
    /// The room could not be read.
    #[error(transparent)]
    Open(#[from] OpenRoomError),
    /// The log does not do again what it did once.
    #[error(transparent)]
    Replay(#[from] reapply_sync::ReplayError),
    /// A build that the log names is not to be had.
    #[error(transparent)]
    Machines(#[from] MachinesError),
    /// The machine faulted.
    #[error(transparent)]
    Fault(#[from] Fault),
}
