//! Encoding and decoding of frames, within limits and across versions.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::client::ClientMessage;
use super::server::ServerMessage;
use super::version::SKIPPABLE_KINDS;
use crate::id::NumberError;
use crate::limits;

/// A frame that is not a message of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message is larger than any client's message may be.
    #[error("the message has {bytes} bytes; the limit is {bytes_max}")]
    TooLarge {
        /// The size of the message.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The frame is not a message.
    #[error("the frame is not a message of {subprotocol}: {0}", subprotocol = crate::SUBPROTOCOL)]
    Malformed(String),
    /// The message is of a kind that this version does not know and may skip.
    #[error("the frame is of kind {kind}, which is not known here and may be skipped")]
    Skippable {
        /// The first byte of the frame.
        kind: u8,
    },
    /// A transition has a number that it cannot have.
    #[error("Submit: {0}")]
    Number(#[from] NumberError),
    /// A field is over its limit.
    #[error("{field} has {bytes} bytes; the limit is {bytes_max}")]
    FieldTooLarge {
        /// The field.
        field: &'static str,
        /// The size of the field.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
}

impl ClientMessage {
    /// Returns the message as one frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a client's frame, and checks the limits. Never panics, whatever the bytes.
    ///
    /// A transition that is too large is not an error here: since it has a number, the room can reject it by that.
    ///
    /// # Errors
    ///
    /// Fails if the frame is too large, is not a message, or has a field over its limit.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        if frame.len() > limits::CLIENT_MESSAGE_BYTES_MAX {
            return Err(DecodeError::TooLarge { bytes: frame.len(), bytes_max: limits::CLIENT_MESSAGE_BYTES_MAX });
        }
        let message = decode(&of_this_version(frame))?;
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
    /// Returns the message as one frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a server's frame.
    ///
    /// # Errors
    ///
    /// Fails if the frame is not a message.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        decode(frame)
    }

    /// Returns the frame of an `Events` message whose events are encoded already, the same as `Self::Events(events).encode()`.
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
    // Writing these types to memory cannot fail. If an empty frame were ever sent, its reader would refuse it.
    postcard::to_allocvec(message).unwrap_or_default().into()
}

/// The discriminant that postcard gives `ClientMessage::Hello` and `ServerMessage::Welcome`: later versions append fields to these.
const GREETING_TAG: u8 = 0;

/// The version that added `Hello::held`.
const HELD_SINCE: u8 = 2;

/// Returns a client's frame with the fields that its version did not have yet. `None` of a later field of `Hello` is encoded as zero.
fn of_this_version(frame: &[u8]) -> Cow<'_, [u8]> {
    match frame {
        [GREETING_TAG, version, ..] if *version < HELD_SINCE => Cow::Owned([frame, &[0]].concat()),
        _ => Cow::Borrowed(frame),
    }
}

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
    use crate::event::{Event, Input};
    use crate::id::{Author, ClientKey, Number, Seq, Timestamp};
    use crate::message::{Capabilities, Hello};

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
        let hello = Hello {
            version: 9,
            capabilities: Capabilities(u32::MAX),
            key: ClientKey([7; 16]),
            resume: None,
            held: None,
        };
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
