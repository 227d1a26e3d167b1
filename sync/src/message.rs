//! The messages of `reapply.v2`: postcard in binary WebSocket frames, one message a frame.
//!
//! Frames of one session arrive in order or not at all. WebSocket guarantees that, and the protocol needs nothing more.
//!
//! # How it grows
//!
//! Encodings never change once they are released: the tests hold each message, event, record and snapshot to its bytes.
//!
//! | what changes | how |
//! | --- | --- |
//! | a message that its reader may pass over | a kind from [`SKIPPABLE_KINDS`]; older readers skip it |
//! | a message that its reader must know, or a new case within one | at the end of its enum, sent only to a peer whose [`VERSION`] or [`Capabilities`] say that it knows it; raises [`VERSION`] |
//! | a field of `Hello` or `Welcome` | at its end; older readers skip fields that they do not know, and newer readers must work without them |
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

/// The version of these messages that this code speaks. Both sides name theirs, and the lower one applies.
///
/// Version 2 adds snapshots that come in parts, and rooms that are overfull.
pub const VERSION: u16 = 2;

/// The first version whose replicas accept a snapshot in parts.
pub const PARTS_SINCE: u16 = 2;

/// The first version whose replicas know [`Rejection::Overfull`].
const OVERFULL_SINCE: u16 = 2;

/// The kinds of messages, as the first byte of their frames, that a reader which does not know them skips.
pub const SKIPPABLE_KINDS: std::ops::RangeInclusive<u8> = 0x40..=0x7f;

/// The abilities of one side beyond its version, one bit each. Unknown bits are ignored. None is defined yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// The capabilities of this code.
    pub const OURS: Self = Self(0);
}

/// A message from a participant's replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// The first message of a session. Sent again, it asks for a new `Welcome` with a snapshot.
    Hello(Hello),
    /// Asks for a transition.
    Submit {
        /// The client's number for the transition: larger than all that it submitted before.
        number: Number,
        /// The transition, in the machine's own encoding.
        transition: Bytes,
    },
    /// Sends an ephemeral message to everyone in the room.
    Signal(Bytes),
    /// Asks for a `Pong` with the same value.
    Ping(u64),
    /// Reports that the replica's state differs from the checkpoint at this seq. The replica heals itself with a `Hello` that follows.
    Diverged {
        /// The checkpoint's seq.
        seq: Seq,
        /// The hash of the replica's own snapshot there; `None` if an event could not even be applied.
        ours: Option<Digest>,
    },
    /// Reports that the replica has followed the upgrade at this seq: its later submissions are in that build's encoding. Earlier ones that the
    /// room did not take follow again.
    Upgraded(Seq),
    /// Reports that the replica has all parts of the snapshot with this hash.
    Arrived(Digest),
}

/// The greeting that begins a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the messages that the client speaks.
    pub version: u16,
    /// The client's abilities beyond the version.
    pub capabilities: Capabilities,
    /// The client's secret.
    pub key: ClientKey,
    /// The state that the replica holds already, if it was here before.
    pub resume: Option<Resume>,
    /// The snapshot of which the replica has a part, because a connection broke while it came. Since version 2.
    pub held: Option<HeldSnapshot>,
}

impl Hello {
    /// Returns the greeting of this version.
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
    /// The number of its bytes that the replica has, from the first on.
    pub bytes: u64,
}

/// The state that a returning replica holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The log that the state comes from.
    pub log: LogId,
    /// The build that the replica runs.
    pub digest: Digest,
    /// The last event in the confirmed state.
    pub seq: Seq,
    /// The log's chain there, as the replica has followed it. A log that was restored from a backup has the same id, but may continue
    /// differently.
    pub chain: Chain,
}

/// A message from a room to a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerMessage {
    /// The answer to `Hello`.
    Welcome(Welcome),
    /// Durable events, in order. They follow the events that the session was sent before.
    Events(Vec<Event>),
    /// Reports that the transition with this number was not applied, and never will be under this number.
    Rejected {
        /// The client's number for the transition.
        number: Number,
        /// The reason.
        why: Rejection,
    },
    /// The hash that the snapshot of everyone's confirmed state has now. It comes right after the event at `seq`.
    Checkpoint {
        /// The last event in that state.
        seq: Seq,
        /// BLAKE3 of the snapshot.
        hash: Digest,
    },
    /// The participants in the room. Sent when they change.
    Presence(Presence),
    /// Ephemeral messages of others.
    Signals(Vec<Signal>),
    /// The answer to `Ping`.
    Pong(u64),
    /// The last message of a session.
    Goodbye(Goodbye),
    /// The next bytes of the snapshot that [`Start::Parts`] has announced. They come in order, and other messages may come between.
    Part {
        /// The number of bytes of the snapshot that come before these.
        at: u64,
        /// The bytes.
        bytes: Bytes,
    },
}

/// The answer to a greeting: everything that a replica needs to take part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of the messages that the host speaks.
    pub version: u16,
    /// The host's abilities beyond the version.
    pub capabilities: Capabilities,
    /// The id of this session.
    pub session: SessionId,
    /// The author of the replica's transitions.
    pub participant: Author,
    /// The log that the room writes.
    pub log: LogId,
    /// The build of the machine to run.
    pub digest: Digest,
    /// The starting point of the replica.
    pub start: Start,
    /// The log's last durable event. Once the replica has it, the replica shows the present.
    pub head: Seq,
    /// The last of this client's numbers that the room has decided. The replica resubmits what is above.
    pub decided: Number,
    /// The last of this client's numbers that the room has taken on, decided or not: new ones must be above it.
    pub taken: Number,
    /// The last of this client's numbers that were rejected, with reasons: the client may have missed that.
    pub rejected: Vec<(Number, Rejection)>,
    /// The traces of clients that the room has forgotten, if this client may be one of them. Transitions that it may have sent before are not
    /// sent again.
    pub forgotten: Option<Box<ForgottenClient>>,
    /// The host's clock.
    pub time: Timestamp,
}

/// The traces of forgotten clients, for a client that may be one of them: the room does not know whether it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenClient {
    /// The last event of the forgotten clients. Transitions that a client first sent when the log had come that far are not forgotten.
    pub seq: Seq,
    /// The highest number of the forgotten clients: new numbers must be above it.
    pub number: Number,
    /// The first of this client's numbers whose decision the room knows; `None` if it knows none.
    pub known_from: Option<Number>,
}

/// The starting point of a session's events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// The replica keeps its confirmed state; the events after it follow.
    Tail,
    /// The replica restores this snapshot; the events after it follow.
    Snapshot {
        /// The last event that the snapshot includes.
        seq: Seq,
        /// The version of the state's encoding.
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
    /// The last event that the snapshot includes.
    pub seq: Seq,
    /// The version of the state's encoding.
    pub state_version: u32,
    /// That event's time.
    pub time: Timestamp,
    /// The log's chain there.
    pub chain: Chain,
    /// BLAKE3 of the machine's own bytes. The replica restores no other bytes.
    pub hash: Digest,
    /// The number of these bytes.
    pub bytes: u64,
    /// The first byte that follows. The replica has those before it, according to its `Hello`.
    pub from: u64,
}

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

/// An ephemeral message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The sender.
    pub participant: Author,
    /// The sender's session.
    pub session: SessionId,
    /// The application's own bytes.
    pub body: Bytes,
}

/// The participants in the room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The number of participants with a session.
    pub count: u64,
    /// The first of the participants by name, at most [`PARTICIPANTS_NAMED_MAX`](crate::limits::PARTICIPANTS_NAMED_MAX).
    pub participants: Vec<Author>,
}

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

impl ServerMessage {
    /// Returns whether the message is about neither the log nor transitions. Such a message needs no state, so it need not wait for one.
    pub(crate) fn is_apart(&self) -> bool {
        matches!(self, Self::Presence(_) | Self::Pong(_) | Self::Goodbye(_))
    }
}

impl Goodbye {
    /// Returns whether connecting again, after a while, may help.
    #[must_use]
    pub fn retry(&self) -> bool {
        !matches!(self, Self::Replaced | Self::BadMessage(_) | Self::Refused { retry: false, .. })
    }
}
