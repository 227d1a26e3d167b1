//! The front of a room: its sessions, as they see one another. The front never calls the machine, so it goes on while the room waits for a call.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::id::{Author, SessionId};
use crate::message::{ServerMessage, Signal};

/// The sessions to which a room's owner passes signals.
#[derive(Clone, Debug, Default)]
pub struct Front {
    participants: BTreeMap<SessionId, Author>,
}

impl Front {
    /// Handles that a session of this participant has begun.
    pub fn handle_entered(&mut self, session: SessionId, participant: Author) {
        self.participants.insert(session, participant);
    }

    /// Handles that a session has ended.
    pub fn handle_ended(&mut self, session: SessionId) {
        self.participants.remove(&session);
    }

    /// Returns the frame with a session's signal, for all other sessions. A session whose queue is full does not get it. Returns `None` if there is no
    /// such session.
    #[must_use]
    pub fn signal(&self, session: SessionId, body: Bytes) -> Option<Bytes> {
        let participant = self.participants.get(&session)?.clone();
        Some(ServerMessage::Signals(vec![Signal { participant, session, body }]).encode())
    }
}
