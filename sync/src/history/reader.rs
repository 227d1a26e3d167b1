//! A session's place in a room's history, from its first byte of a snapshot to the newest event.

use std::sync::Arc;

use super::parts::Parts;
use super::{History, Read, Trimmed};
use crate::id::{ClientId, Digest, Seq};

/// What a session is sent next. Each session has one of its own, and reads at its own pace.
#[derive(Debug)]
pub struct Reader {
    client: ClientId,
    /// The snapshot that is being sent, and the part that is next.
    sending: Option<(Arc<Parts>, usize)>,
    /// The last event that the session has, once the snapshot is sent.
    after: Seq,
}

impl Reader {
    pub(super) fn new(client: ClientId, sending: Option<(Arc<Parts>, usize)>, after: Seq) -> Self {
        Self { client, sending, after }
    }

    /// The last event that the session has, or will have with its snapshot.
    #[must_use]
    pub fn after(&self) -> Seq {
        self.after
    }

    /// Returns what the session is sent next, a portion at a time; nothing, if it has everything.
    ///
    /// # Errors
    ///
    /// The session fell so far behind that the events it needs are gone from memory.
    pub fn read(&mut self, history: &History) -> Result<Option<Read>, Trimmed> {
        if let Some((parts, next)) = &mut self.sending {
            if history.floor() > self.after {
                // All of it would be received in vain.
                return Err(Trimmed { after: self.after });
            }
            if let Some(frame) = parts.frame(*next) {
                *next += 1;
                let has_more = *next < parts.count() || history.head() > self.after;
                return Ok(Some(Read { messages: [frame].into(), upto: self.after, has_more }));
            }
            self.sending = None;
        }
        let read = history.read(self.after)?;
        if let Some(read) = &read {
            self.after = read.upto;
        }
        Ok(read)
    }

    /// The replica says that the snapshot with this hash has arrived. Nothing is kept for it any more.
    pub fn handle_arrived(&self, history: &History, hash: Digest) {
        history.handle_arrived(self.client, hash);
    }
}
