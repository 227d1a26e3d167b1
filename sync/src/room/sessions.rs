//! The sessions of one room, by id and by client, with the number of sessions of each participant.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::id::{Author, ClientId, Seq, SessionId};
use crate::limits::PARTICIPANTS_NAMED_MAX;
use crate::message::{Presence, ServerMessage};

/// One connection of a participant.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) participant: Author,
    pub(super) client: ClientId,
    /// The last upgrade that its replica has followed.
    pub(super) upgraded: Seq,
    /// The version of the messages that the client speaks.
    pub(super) version: u16,
}

/// All connections to a room. A client has one at most: the newest.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: BTreeMap<SessionId, Session>,
    by_client: BTreeMap<ClientId, SessionId>,
    /// The number of sessions of each participant.
    participants: BTreeMap<Author, usize>,
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn get(&self, session: SessionId) -> Option<&Session> {
        self.by_id.get(&session)
    }

    pub(super) fn get_mut(&mut self, session: SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(&session)
    }

    pub(super) fn of_client(&self, client: ClientId) -> Option<SessionId> {
        self.by_client.get(&client).copied()
    }

    /// Adds a session. Returns the client's earlier session, which must still be removed.
    pub(super) fn insert(&mut self, id: SessionId, session: Session) -> Option<SessionId> {
        *self.participants.entry(session.participant.clone()).or_default() += 1;
        let former = self.by_client.insert(session.client, id);
        self.by_id.insert(id, session);
        former
    }

    /// Removes a session, and returns it.
    pub(super) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.by_id.remove(&id)?;
        if self.by_client.get(&session.client) == Some(&id) {
            self.by_client.remove(&session.client);
        }
        if let Some(count) = self.participants.get_mut(&session.participant) {
            *count -= 1;
            if *count == 0 {
                self.participants.remove(&session.participant);
            }
        }
        Some(session)
    }

    /// Returns the sessions of one participant.
    pub(super) fn of_participant(&self, participant: &Author) -> impl Iterator<Item = SessionId> {
        self.by_id.iter().filter(move |(_, session)| session.participant == *participant).map(|(id, _)| *id)
    }

    /// Removes all sessions, and returns them.
    pub(super) fn remove_all(&mut self) -> BTreeMap<SessionId, Session> {
        std::mem::take(self).by_id
    }

    pub(super) fn has(&self, participant: &Author) -> bool {
        self.participants.contains_key(participant)
    }

    pub(super) fn participants(&self) -> impl ExactSizeIterator<Item = &Author> {
        self.participants.keys()
    }

    /// Returns the encoded message with the present participants.
    pub(super) fn presence(&self) -> Bytes {
        let participants = self.participants.keys().take(PARTICIPANTS_NAMED_MAX).cloned().collect();
        ServerMessage::Presence(Presence { count: self.participants.len() as u64, participants }).encode()
    }
}
