//! The reasons why a session ends.

use serde::{Deserialize, Serialize};

/// The reason why a session ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Goodbye {
    /// The host is stopping. It, or another one, will be back.
    #[error("the host is shutting down")]
    ShuttingDown,
    /// The same client has connected again.
    #[error("this client has connected from elsewhere")]
    Replaced,
    /// The client sent a message that the protocol does not allow. The text names the field, and the limit or rule.
    #[error("bad message: {0}")]
    BadMessage(String),
    /// The reader fell so far behind that the room no longer keeps the events it needs.
    #[error("this session fell too far behind")]
    TooSlow,
    /// The room could not store its events, and fell back to the last durable state.
    #[error("the room could not store its events")]
    StorageFailed,
    /// The room cannot go on.
    #[error("the room cannot go on: {0}")]
    RoomFailed(String),
    /// A limit of the host or the room was reached.
    #[error("{0}")]
    Full(String),
    /// The client was silent for longer than a session waits: its page was suspended, or still loads what it needs.
    #[error("{0}")]
    Silent(String),
    /// The host does not let this client into the room, because of its page's origin, the room's name or the protocol's version.
    #[error("{why}")]
    Refused {
        /// The reason, and what to do about it.
        why: String,
        /// Whether connecting again, after a while, may help.
        retry: bool,
    },
}

impl Goodbye {
    /// Returns whether connecting again, after a while, may help.
    #[must_use]
    pub fn retry(&self) -> bool {
        !matches!(self, Self::Replaced | Self::BadMessage(_) | Self::Refused { retry: false, .. })
    }
}
