//! The sessions of one room: who is there, and how each is reached.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use reapply_sync::limits::PARTICIPANTS_NAMED_MAX;
use reapply_sync::{Author, ClientId, Goodbye, Presence, Seq, ServerMessage, SessionId};
use tokio::sync::mpsc::error::TrySendError;

use super::room::{Letter, Outbox};

/// One connection of a participant.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) participant: Author,
    pub(super) client: ClientId,
    /// The last upgrade that its replica has followed.
    pub(super) upgraded: Seq,
    pub(super) outbox: Outbox,
}

/// All connections to a room. A client has one at most: the newest.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: HashMap<SessionId, Session>,
    by_client: HashMap<ClientId, SessionId>,
    /// How many sessions each participant has.
    participants: BTreeMap<Author, usize>,
    /// Sessions that have ended since the last [`Sessions::take_ended`].
    ended: Vec<(ClientId, SessionId)>,
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, session: SessionId) -> Option<&Session> {
        self.by_id.get(&session)
    }

    /// Notes the last upgrade that a session's replica has followed.
    pub(super) fn set_upgraded(&mut self, session: SessionId, upgraded: Seq) {
        if let Some(session) = self.by_id.get_mut(&session) {
            session.upgraded = upgraded;
        }
    }

    pub(super) fn all_participants(&self) -> Vec<Author> {
        self.participants.keys().cloned().collect()
    }

    pub(super) fn has(&self, participant: &Author) -> bool {
        self.participants.contains_key(participant)
    }

    /// Adds a session, and ends the one that the same client had. Answers whether the participant was not there before.
    pub(super) fn insert(&mut self, id: SessionId, session: Session) -> bool {
        let client = session.client;
        let count = self.participants.entry(session.participant.clone()).or_default();
        *count += 1;
        let is_first = *count == 1;
        self.by_id.insert(id, session);
        if let Some(former) = self.by_client.insert(client, id) {
            self.end(former, Goodbye::Replaced);
        }
        is_first
    }

    /// Removes a session. Answers its participant, if that was the last one they had.
    pub(super) fn remove(&mut self, id: SessionId) -> Option<Author> {
        let session = self.by_id.remove(&id)?;
        self.ended.push((session.client, id));
        if self.by_client.get(&session.client) == Some(&id) {
            self.by_client.remove(&session.client);
        }
        let count = self.participants.get_mut(&session.participant)?;
        *count -= 1;
        if *count > 0 {
            return None;
        }
        self.participants.remove(&session.participant);
        Some(session.participant)
    }

    /// The sessions that have ended since the last call, by whatever way.
    pub(super) fn take_ended(&mut self) -> Vec<(ClientId, SessionId)> {
        std::mem::take(&mut self.ended)
    }

    /// Ends a session with a last message. The caller need not remove it: `None` comes back if the participant stays.
    pub(super) fn end(&mut self, id: SessionId, why: Goodbye) -> Option<Author> {
        let session = self.by_id.get(&id)?;
        // A full queue is dropped with the session; the connection then closes without a word.
        let _full = session.outbox.try_send(Letter::Goodbye(why));
        self.remove(id)
    }

    /// Ends all sessions. Answers the participants who are gone now.
    pub(super) fn end_all(&mut self, why: &Goodbye) -> Vec<Author> {
        let ids: Vec<SessionId> = self.by_id.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.end(id, why.clone())).collect()
    }

    /// Sends a frame to a client's session, if it has one.
    pub(super) fn send_to_client(&mut self, client: ClientId, frame: Bytes) -> Option<Author> {
        let id = *self.by_client.get(&client)?;
        self.send(id, frame)
    }

    /// Sends a frame to a session. One that lets too many pile up is ended; then its participant comes back, if that was the last.
    pub(super) fn send(&mut self, id: SessionId, frame: Bytes) -> Option<Author> {
        let session = self.by_id.get(&id)?;
        match session.outbox.try_send(Letter::Frame(frame)) {
            Ok(()) => None,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => self.remove(id),
        }
    }

    /// Offers an ephemeral frame to every session but one; a queue that is full goes without it.
    pub(super) fn offer_all(&self, except: SessionId, frame: &Bytes) {
        for (_, session) in self.by_id.iter().filter(|(id, _)| **id != except) {
            let _full = session.outbox.try_send(Letter::Frame(frame.clone()));
        }
    }

    pub(super) fn presence(&self) -> Bytes {
        let participants = self.participants.keys().take(PARTICIPANTS_NAMED_MAX).cloned().collect();
        ServerMessage::Presence(Presence { count: self.participants.len() as u64, participants }).encode()
    }

    pub(super) fn participants(&self) -> usize {
        self.participants.len()
    }
}
