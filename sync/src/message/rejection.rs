//! The reasons why a transition is not applied.

use serde::{Deserialize, Serialize};

use super::version::OVERFULL_SINCE;

/// The reason why a transition was not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// The bytes are not a transition of this machine.
    #[error("malformed transition: {0}")]
    Malformed(String),
    /// The machine's typed conflict, as JSON.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The machine exhausted this resource (time or memory).
    #[error("the machine exhausted its {0} on this transition")]
    Exhausted(String),
    /// The machine trapped.
    #[error("the machine trapped on this transition: {0}")]
    Trapped(String),
    /// The participant may not do this.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// The transition is larger than the limit.
    #[error("the transition has {bytes} bytes; the limit is {bytes_max}")]
    TooLarge {
        /// The size of the transition.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The participant sent more transitions a second than the limit.
    #[error("more than {per_second_max} transitions a second")]
    TooFast {
        /// The limit.
        per_second_max: u32,
    },
    /// The transition was rejected while the connection was down, and the room has forgotten the reason.
    #[error("rejected while disconnected; the reason is no longer known")]
    Forgotten,
    /// The room cannot take a snapshot, and has reached the limit of events without one. Since version 2.
    #[error(
        "the room takes no transitions: it cannot take a snapshot, and has {bytes} bytes of events since the last one; the limit is {bytes_max}"
    )]
    Overfull {
        /// Bytes of events since the last snapshot.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
}

impl Rejection {
    /// Returns the kind of rejection, as one word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Conflict(_) => "conflict",
            Self::Exhausted(_) => "exhausted",
            Self::Trapped(_) => "trapped",
            Self::Forbidden(_) => "forbidden",
            Self::TooLarge { .. } => "too-large",
            Self::TooFast { .. } => "too-fast",
            Self::Forgotten => "forgotten",
            Self::Overfull { .. } => "overfull",
        }
    }

    /// Returns the rejection for a client of this version. A kind that the client does not know is replaced by one that it does.
    #[must_use]
    pub(crate) fn for_version(self, version: u16) -> Self {
        match self {
            Self::Overfull { .. } if version < OVERFULL_SINCE => Self::Forbidden(self.to_string()),
            known => known,
        }
    }

    /// Returns the bytes of the rejection's text, which must be stored to remember it.
    #[must_use]
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::Malformed(text)
            | Self::Conflict(text)
            | Self::Exhausted(text)
            | Self::Trapped(text)
            | Self::Forbidden(text) => text.len(),
            Self::TooLarge { .. } | Self::TooFast { .. } | Self::Forgotten | Self::Overfull { .. } => 0,
        }
    }
}
