//! A portion of events, as the messages that carry them.

use std::sync::Arc;

use bytes::Bytes;

use crate::id::{Digest, Seq};
use crate::limits::EVENTS_MESSAGE_BYTES;
use crate::message::ServerMessage;

/// Messages for a session, and the seq of the session after them.
#[derive(Clone, Debug)]
pub struct Read {
    /// Encoded messages, in order; send them in one write.
    pub messages: Arc<[Bytes]>,
    /// The session's new place.
    pub upto: Seq,
    /// Whether there is more to read at once.
    pub has_more: bool,
}

/// The error of a session that needs events which are no longer in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the events after {after} are no longer in memory")]
pub struct Trimmed {
    /// The session's place.
    pub after: Seq,
}

/// The next events for one reader, or for several at the same place.
pub(super) struct Portion {
    pub(super) after: Seq,
    pub(super) events: Vec<Bytes>,
    /// The checkpoint that comes between these events, or after them.
    pub(super) checkpoint: Option<(Seq, Digest)>,
    pub(super) has_more: bool,
}

impl Portion {
    /// Returns the messages.
    pub(super) fn encode(&self) -> Read {
        let mut messages = Vec::new();
        let mut rest = &self.events[..];
        if let Some((seq, hash)) = self.checkpoint {
            let (before, after) = rest.split_at((seq.0 - self.after.0) as usize);
            push_events(&mut messages, before);
            messages.push(ServerMessage::Checkpoint { seq, hash }.encode());
            rest = after;
        }
        push_events(&mut messages, rest);
        let upto = Seq(self.after.0 + self.events.len() as u64);
        Read { messages: messages.into(), upto, has_more: self.has_more }
    }
}

/// Adds events as `Events` messages of about [`EVENTS_MESSAGE_BYTES`] each.
fn push_events(messages: &mut Vec<Bytes>, events: &[Bytes]) {
    let mut bytes = 0;
    let is_over = |event: &Bytes| {
        bytes += event.len();
        let is_over = bytes >= EVENTS_MESSAGE_BYTES;
        if is_over {
            bytes = 0;
        }
        is_over
    };
    for events in events.split_inclusive(is_over) {
        messages.push(ServerMessage::encode_events(events.iter()));
    }
}
