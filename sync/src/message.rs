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

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::event::{Chain, Event};
use crate::id::{Author, ClientKey, Digest, LogId, Number, NumberError, Seq, SessionId, Timestamp};
use crate::limits;

/// The version of these messages that this code speaks. Both sides name theirs and go by the lower one.
pub const VERSION: u16 = 1;

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
}

impl Hello {
    /// The greeting of this version.
    #[must_use]
    pub fn new(key: ClientKey, resume: Option<Resume>) -> Self {
        Self { version: VERSION, capabilities: Capabilities::OURS, key, resume }
    }
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
    /// The first of them by name, at most [`limits::PARTICIPANTS_NAMED_MAX`].
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
            Self::TooLarge { .. } | Self::TooFast { .. } | Self::Forgotten => 0,
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

/// A frame that is no message of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Larger than any client's message may be.
    #[error("the message has {bytes} bytes; the limit is {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Not a message.
    #[error("the frame is no message of {subprotocol}: {0}", subprotocol = crate::SUBPROTOCOL)]
    Malformed(String),
    /// A message of a kind that this version does not know, and that may be passed over.
    #[error("the frame is of kind {kind}, which is not known here and may be skipped")]
    Skippable {
        /// Its first byte.
        kind: u8,
    },
    /// A transition has a number that it cannot have.
    #[error("Submit: {0}")]
    Number(#[from] NumberError),
    /// A field's value breaks its limit.
    #[error("{field} has {bytes} bytes; the limit is {bytes_max}")]
    FieldTooLarge {
        /// The field.
        field: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
}

impl ClientMessage {
    /// The message as one frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a client's frame, and holds it to the limits. Never panics, whatever the bytes.
    ///
    /// A transition that is too large is not an error here: it has a number, so the room can reject it by that.
    ///
    /// # Errors
    ///
    /// The frame is too large, is no message, or has a field over its limit.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        if frame.len() > limits::CLIENT_MESSAGE_BYTES_MAX {
            return Err(DecodeError::TooLarge { bytes: frame.len(), bytes_max: limits::CLIENT_MESSAGE_BYTES_MAX });
        }
        let message = decode(frame)?;
        match &message {
            Self::Signal(body) if body.len() > limits::SIGNAL_BYTES_MAX => Err(DecodeError::FieldTooLarge {
                field: "Signal",
                bytes: body.len(),
                bytes_max: limits::SIGNAL_BYTES_MAX,
            }),
            Self::Submit { number, .. } => {
                number.in_range()?;
                Ok(message)
            }
            _ => Ok(message),
        }
    }
}

impl ServerMessage {
    /// The message as one frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a server's frame.
    ///
    /// # Errors
    ///
    /// The frame is no message.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        decode(frame)
    }

    /// The frame of `Events` whose events are encoded already: what `Self::Events(events).encode()` would give.
    #[must_use]
    pub fn encode_events<'a>(events: impl ExactSizeIterator<Item = &'a Bytes> + Clone) -> Bytes {
        let bytes: usize = events.clone().map(Bytes::len).sum();
        let mut frame = Vec::with_capacity(bytes + 12);
        frame.push(EVENTS_TAG);
        let mut count = events.len();
        while count >= 0x80 {
            frame.push((count as u8) | 0x80);
            count >>= 7;
        }
        frame.push(count as u8);
        events.for_each(|event| frame.extend_from_slice(event));
        frame.into()
    }
}

/// The discriminant that postcard gives `ServerMessage::Events`.
const EVENTS_TAG: u8 = 1;

fn encode<T: Serialize>(message: &T) -> Bytes {
    // Writing these types to memory cannot fail; an empty frame, were it ever sent, is refused by its reader.
    postcard::to_allocvec(message).unwrap_or_default().into()
}

/// The discriminant that postcard gives `ClientMessage::Hello` and `ServerMessage::Welcome`: later versions append fields to these.
const GREETING_TAG: u8 = 0;

fn decode<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> Result<T, DecodeError> {
    let kind = frame.first().copied();
    if let Some(kind) = kind.filter(|kind| SKIPPABLE_KINDS.contains(kind)) {
        return Err(DecodeError::Skippable { kind });
    }
    match postcard::take_from_bytes(frame) {
        Ok((message, [])) => Ok(message),
        Ok((message, _)) if kind == Some(GREETING_TAG) => Ok(message),
        Ok((_, rest)) => Err(DecodeError::Malformed(format!("{} bytes follow the message", rest.len()))),
        Err(error) => Err(DecodeError::Malformed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Input;

    #[test]
    fn events_encoded_one_by_one_make_the_same_frame() {
        for count in [0, 1, 127, 128, 300, 20_000] {
            let events: Vec<_> = (0..count)
                .map(|seq| Event {
                    seq: Seq(seq),
                    time: Timestamp(9),
                    entropy: 1,
                    input: Input::Left(Author("x".into())),
                })
                .collect();
            let encoded: Vec<Bytes> = events.iter().map(|event| postcard::to_allocvec(event).unwrap().into()).collect();
            assert_eq!(ServerMessage::encode_events(encoded.iter()), ServerMessage::Events(events).encode());
        }
    }

    #[test]
    fn trailing_bytes_empty_frames_and_unknown_messages_are_refused() {
        let mut frame = ClientMessage::Ping(1).encode().to_vec();
        frame.push(0);
        assert!(ClientMessage::decode(&frame).unwrap_err().to_string().contains("1 bytes follow"));
        assert!(ClientMessage::decode(&[]).is_err());
        assert!(ClientMessage::decode(&[99, 0]).is_err());
    }

    #[test]
    fn a_peer_of_a_later_version_is_understood() {
        let hello = Hello { version: 9, capabilities: Capabilities(u32::MAX), key: ClientKey([7; 16]), resume: None };
        let hello = ClientMessage::Hello(hello);
        let longer = [&hello.encode()[..], b"a field of version 9"].concat();
        assert_eq!(ClientMessage::decode(&longer), Ok(hello));
        for kind in SKIPPABLE_KINDS {
            let frame = [kind, 1, 2, 3];
            assert_eq!(ClientMessage::decode(&frame), Err(DecodeError::Skippable { kind }));
            assert_eq!(ServerMessage::decode(&frame), Err(DecodeError::Skippable { kind }));
        }
        assert!(matches!(ServerMessage::decode(&[0x3f, 1]), Err(DecodeError::Malformed(_))));
        assert!(matches!(ServerMessage::decode(&[0x80, 1]), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn numbers_are_bounded_and_named() {
        let submit = |number| ClientMessage::Submit { number: Number(number), transition: Bytes::new() }.encode();
        for number in [1, limits::COUNT_MAX] {
            assert!(ClientMessage::decode(&submit(number)).is_ok());
        }
        for number in [0, limits::COUNT_MAX + 1, u64::MAX] {
            let error = ClientMessage::decode(&submit(number)).unwrap_err().to_string();
            let expected =
                format!("Submit: the number of a transition is {number}; numbers go from 1 to 9007199254740991");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn sizes_are_bounded_and_named() {
        let signal = ClientMessage::Signal(vec![0; limits::SIGNAL_BYTES_MAX + 1].into()).encode();
        assert_eq!(ClientMessage::decode(&signal).unwrap_err().to_string(), "Signal has 1025 bytes; the limit is 1024");
        let huge = vec![0; limits::CLIENT_MESSAGE_BYTES_MAX + 1];
        assert!(matches!(ClientMessage::decode(&huge), Err(DecodeError::TooLarge { .. })));
    }
}
