//! The messages of `reapply.v2`: postcard in binary WebSocket frames, one message a frame.
//!
//! Frames of one session arrive in order or not at all: that is what WebSocket gives, and all that the protocol needs.
//!
//! # How it grows
//!
//! What is written down stays as it is: the tests hold each message, event, record and snapshot to its bytes.
//!
//! | what changes | how |
//! | --- | --- |
//! | a message that its reader may pass over | a kind from [`SKIPPABLE_KINDS`]; older readers skip it |
//! | a message that its reader must know, or a new case within one | at the end of its enum, sent only to a peer whose [`VERSION`] or [`Capabilities`] say that it knows it; raises [`VERSION`] |
//! | a field of `Hello` or `Welcome` | at its end; older readers pass over what follows the fields that they know, newer ones must do without it |
//! | a field of another message | never; a new kind instead |
//! | an event, a genesis, a record | never: the chain is over their bytes. A new kind of event at the end of `Input`; raises [`VERSION`], and a replica of a lower one cannot be served past it |
//! | a snapshot, an export, the journal's rows | a new format number of the journal and of exports |
//! | anything else | another [`SUBPROTOCOL`](crate::SUBPROTOCOL) |

mod codec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::codec::DecodeError;
use crate::event::{Chain, Event};
use crate::id::{Author, ClientKey, Digest, LogId, Number, Seq, SessionId, Timestamp};

/// The version of these messages that this code speaks. Both sides name theirs and go by the lower one.
///
/// Version 2 has snapshots that come in parts, and rooms that are overfull.
pub const VERSION: u16 = 2;

/// The first version whose replicas take a snapshot in parts.
pub const PARTS_SINCE: u16 = 2;

/// The first version whose replicas know [`Rejection::Overfull`].
const OVERFULL_SINCE: u16 = 2;

/// The kinds of messages, as the first byte of their frames, that a reader which does not know them skips.
pub const SKIPPABLE_KINDS: std::ops::RangeInclusive<u8> = 0x40..=0x7f;

/// What one side can do beyond its version, one bit each. Unknown ones are passed over. None is defined yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Those of this code.
    pub const OURS: Self = Self(0);
}

/// What a participant's replica sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// The first message of a session. Sent again, it asks for a new `Welcome` with a snapshot.
    Hello(Hello),
    /// Asks for a transition.
    Submit {
        /// The client's number for it: larger than all that it submitted before.
        number: Number,
        /// In the machine's own encoding.
        transition: Bytes,
    },
    /// An ephemeral message to everyone in the room.
    Signal(Bytes),
    /// Asks for a `Pong` with the same value.
    Ping(u64),
    /// The replica's state differs from the checkpoint at this seq; it heals itself with a `Hello` that follows.
    Diverged {
        /// The checkpoint's seq.
        seq: Seq,
        /// The hash of the replica's own snapshot there; none where an event could not even be applied.
        ours: Option<Digest>,
    },
    /// The replica has followed the upgrade at this seq: what it submits from here on is in that build's encoding. What it had submitted
    /// before, and the room did not take, follows again.
    Upgraded(Seq),
    /// The replica has all parts of the snapshot with this hash.
    Arrived(Digest),
}

/// Begins a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version that the client speaks.
    pub version: u16,
    /// What it can do beyond that.
    pub capabilities: Capabilities,
    /// The client's secret.
    pub key: ClientKey,
    /// What the replica holds already, if it was here before.
    pub resume: Option<Resume>,
    /// The snapshot that the replica has a part of, since a connection broke while it came. Since version 2.
    pub held: Option<HeldSnapshot>,
}

impl Hello {
    /// The greeting of this version.
    #[must_use]
    pub fn new(key: ClientKey, resume: Option<Resume>) -> Self {
        Self { version: VERSION, capabilities: Capabilities::OURS, key, resume, held: None }
    }
}

/// The beginning of a snapshot that a replica holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSnapshot {
    /// BLAKE3 of the whole snapshot, as the room named it.
    pub hash: Digest,
    /// How many of its bytes the replica has, from the first on.
    pub bytes: u64,
}

/// What a returning replica holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The log that its state comes from.
    pub log: LogId,
    /// The build that it runs.
    pub digest: Digest,
    /// The last event in its confirmed state.
    pub seq: Seq,
    /// The log's chain there, as the replica has followed it. A log that was restored from a backup has the same id, and goes on otherwise.
    pub chain: Chain,
}

/// What a room sends to a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerMessage {
    /// Answers `Hello`.
    Welcome(Welcome),
    /// Durable events, in order, following on what the session was sent before.
    Events(Vec<Event>),
    /// The transition with this number was not applied, and never will be under this number.
    Rejected {
        /// The client's number for it.
        number: Number,
        /// Why.
        why: Rejection,
    },
    /// The hash that the snapshot of everyone's confirmed state has now; comes right after the event at `seq`.
    Checkpoint {
        /// The last event in that state.
        seq: Seq,
        /// BLAKE3 of the snapshot.
        hash: Digest,
    },
    /// Who is in the room. Sent when it changes.
    Presence(Presence),
    /// Others' ephemeral messages.
    Signals(Vec<Signal>),
    /// Answers `Ping`.
    Pong(u64),
    /// The last message of a session.
    Goodbye(Goodbye),
    /// The next bytes of the snapshot that [`Start::Parts`] has announced. They come in order, and other messages may come between.
    Part {
        /// How many bytes of the snapshot come before these.
        at: u64,
        /// The bytes.
        bytes: Bytes,
    },
}

/// What a replica needs to take part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that the host speaks.
    pub version: u16,
    /// What it can do beyond that.
    pub capabilities: Capabilities,
    /// This session.
    pub session: SessionId,
    /// Who the replica's transitions will be by.
    pub participant: Author,
    /// The log that the room writes.
    pub log: LogId,
    /// The build of the machine to run.
    pub digest: Digest,
    /// Where the replica starts from.
    pub start: Start,
    /// The log's last durable event. Once the replica has it, it shows the present.
    pub head: Seq,
    /// The last of this client's numbers that the room has decided. The replica resubmits what is above.
    pub decided: Number,
    /// The last of this client's numbers that the room has taken on, decided or not: new ones must be above it.
    pub taken: Number,
    /// The last of this client's numbers that were rejected, and why: it may have missed that.
    pub rejected: Vec<(Number, Rejection)>,
    /// What the room may have forgotten of this client, if anything. What the client may have sent before that is not sent again.
    pub forgotten: Option<Box<ForgottenClient>>,
    /// The host's clock.
    pub time: Timestamp,
}

/// What a room may have forgotten of a client: it has forgotten some, and does not know whether this is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenClient {
    /// The last event of those that were forgotten. Whatever a client first sent when the log had come that far is not among them.
    pub seq: Seq,
    /// The highest number of those that were forgotten: new ones must be above it.
    pub number: Number,
    /// The first of this client's numbers whose decision the room knows of; none where it knows of none.
    pub known_from: Option<Number>,
}

/// Where a session's events begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// The replica keeps its confirmed state; the events after it follow.
    Tail,
    /// The replica restores this; the events after it follow.
    Snapshot {
        /// The last event it includes.
        seq: Seq,
        /// The version of its encoding.
        state_version: u32,
        /// That event's time.
        time: Timestamp,
        /// The log's chain there.
        chain: Chain,
        /// The machine's own bytes.
        state: Bytes,
    },
    /// The replica restores a snapshot that follows as [`ServerMessage::Part`]s; the events after it follow those. Since version 2.
    Parts(Box<SnapshotInParts>),
}

/// A snapshot that follows in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInParts {
    /// The last event it includes.
    pub seq: Seq,
    /// The version of its encoding.
    pub state_version: u32,
    /// That event's time.
    pub time: Timestamp,
    /// The log's chain there.
    pub chain: Chain,
    /// BLAKE3 of the machine's own bytes. The replica restores nothing else.
    pub hash: Digest,
    /// How many bytes these are.
    pub bytes: u64,
    /// The first byte that follows. The replica has those before it, as its `Hello` said.
    pub from: u64,
}

/// Why a transition was not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// The bytes are no transition of this machine.
    #[error("malformed transition: {0}")]
    Malformed(String),
    /// The machine's typed conflict, as JSON.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The machine used up what it may use of this (time or memory).
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
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// More transitions a second than the limit.
    #[error("more than {per_second_max} transitions a second")]
    TooFast {
        /// The limit.
        per_second_max: u32,
    },
    /// It was rejected while the connection was down, and the room has forgotten why.
    #[error("rejected while disconnected; the reason is no longer known")]
    Forgotten,
    /// The room cannot take a snapshot, and has as many events without one as it may. Since version 2.
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

/// An ephemeral message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Who sent it.
    pub participant: Author,
    /// From which session.
    pub session: SessionId,
    /// The application's own bytes.
    pub body: Bytes,
}

/// Who is in the room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// How many participants have a session.
    pub count: u64,
    /// The first of them by name, at most [`PARTICIPANTS_NAMED_MAX`](crate::limits::PARTICIPANTS_NAMED_MAX).
    pub participants: Vec<Author>,
}

/// Why a session ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Goodbye {
    /// The host is stopping; it, or another, will be back.
    #[error("the host is shutting down")]
    ShuttingDown,
    /// The same client connected anew.
    #[error("this client has connected from elsewhere")]
    Replaced,
    /// A message that the protocol does not allow: which field, and which limit or rule.
    #[error("bad message: {0}")]
    BadMessage(String),
    /// The reader fell further behind than the room keeps events for it.
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
    /// Nothing was heard of the client for longer than a session waits: its page was suspended, or still loads what it needs.
    #[error("{0}")]
    Silent(String),
    /// The host does not let this client into the room: its page's origin, the room's name or the protocol's version.
    #[error("{why}")]
    Refused {
        /// The reason, and what to do about it.
        why: String,
        /// Whether connecting again, after a while, may help.
        retry: bool,
    },
}

impl Rejection {
    /// What kind of rejection it is, as one word.
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

    /// Returns what a client of this version is told: in place of a kind that it does not know, one that it does.
    #[must_use]
    pub(crate) fn for_version(self, version: u16) -> Self {
        match self {
            Self::Overfull { .. } if version < OVERFULL_SINCE => Self::Forbidden(self.to_string()),
            known => known,
        }
    }

    /// Bytes of its text: what remembering it costs.
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

impl ServerMessage {
    /// Whether the message is neither about the log nor about transitions. It needs no state, so it need not wait for one.
    pub(crate) fn is_apart(&self) -> bool {
        matches!(self, Self::Presence(_) | Self::Pong(_) | Self::Goodbye(_))
    }
}

impl Goodbye {
    /// Whether connecting again, after a while, may help.
    #[must_use]
    pub fn retry(&self) -> bool {
        !matches!(self, Self::Replaced | Self::BadMessage(_) | Self::Refused { retry: false, .. })
    }
}
