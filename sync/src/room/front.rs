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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_names_its_sender_and_ends_with_the_session() {
        let mut front = Front::default();
        let (session, participant) = (SessionId(1), Author("ada".into()));
        front.handle_entered(session, participant.clone());
        let body = Bytes::from_static(b"here");
        let expected = ServerMessage::Signals(vec![Signal { participant, session, body: body.clone() }]);
        assert_eq!(front.signal(session, body.clone()), Some(expected.encode()));
        assert_eq!(front.signal(SessionId(2), body.clone()), None);
        front.handle_ended(session);
        assert_eq!(front.signal(session, body), None);
    }
}
