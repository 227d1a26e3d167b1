//! A session's place in a room's history, from the first byte of a snapshot to the newest event.

use std::sync::Arc;

use super::History;
use super::parts::Parts;
use super::portion::{Read, Trimmed};
use crate::id::{ClientId, Digest, Seq};

/// The cursor of one session. Each session has its own, and reads at its own pace.
#[derive(Debug)]
pub struct Reader {
    client: ClientId,
    /// The snapshot that is being sent, and the index of its next part.
    sending: Option<(Arc<Parts>, usize)>,
    /// The last event that the session has, once the snapshot is sent.
    after: Seq,
}

impl Reader {
    pub(super) fn new(client: ClientId, sending: Option<(Arc<Parts>, usize)>, after: Seq) -> Self {
        Self { client, sending, after }
    }

    /// Returns the last event that the session has, or will have with its snapshot.
    #[must_use]
    pub fn after(&self) -> Seq {
        self.after
    }

    /// Returns the next messages for the session, a portion at a time. Returns `None` if it has everything.
    ///
    /// # Errors
    ///
    /// Fails if the session fell so far behind that the events it needs are no longer in memory.
    pub fn read(&mut self, history: &History) -> Result<Option<Read>, Trimmed> {
        if let Some((parts, next)) = &mut self.sending {
            if history.floor() > self.after {
                // The events after the snapshot are gone, so the rest of it would be useless.
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

    /// Handles that the snapshot with this hash has arrived at the replica. Nothing more is kept for it.
    pub fn handle_arrived(&self, history: &History, hash: Digest) {
        history.handle_arrived(self.client, hash);
    }
}
