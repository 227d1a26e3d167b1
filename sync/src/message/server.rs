//! The messages of a room.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::goodbye::Goodbye;
use super::rejection::Rejection;
use super::version::Capabilities;
use crate::event::{Chain, Event};
use crate::id::{Author, Digest, LogId, Number, Seq, SessionId, Timestamp};

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

impl ServerMessage {
    /// Returns whether the message is about neither the log nor transitions. Such a message needs no state, so it need not wait for one.
    pub(crate) fn is_apart(&self) -> bool {
        matches!(self, Self::Presence(_) | Self::Pong(_) | Self::Goodbye(_))
    }
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
