//! Naive bookkeeping of present participants. It knows only the beginnings and ends of sessions, the presence messages, and the log.

use std::collections::{BTreeMap, BTreeSet};

use reapply_sync::room::limits::PRESENCE_INTERVAL_MICROS;
use reapply_sync::{Author, ClientId, ServerMessage};

#[derive(Default)]
pub(crate) struct Roster {
    sessions: BTreeMap<usize, (ClientId, Author)>,
    /// The time when a session last began or ended.
    changed_at: u64,
    told: BTreeSet<Author>,
}

impl Roster {
    pub(crate) fn note_entered(&mut self, connection: usize, client: ClientId, author: Author, now: u64) {
        self.sessions.insert(connection, (client, author));
        self.changed_at = now;
    }

    pub(crate) fn note_ended(&mut self, connection: usize, now: u64) {
        if self.sessions.remove(&connection).is_some() {
            self.changed_at = now;
        }
    }

    pub(crate) fn note_presence(&mut self, frame: &[u8]) {
        let Ok(ServerMessage::Presence(presence)) = ServerMessage::decode(frame) else { panic!("no presence message") };
        assert_eq!(presence.count, presence.participants.len() as u64, "few participants are all named");
        self.told = presence.participants.into_iter().collect();
    }

    /// Returns whether a later connection of this client has a session.
    pub(crate) fn has_later(&self, client: ClientId, connection: usize) -> bool {
        self.sessions.range(connection + 1..).any(|(_, (other, _))| *other == client)
    }

    /// Returns the client of a connection that has a session.
    pub(crate) fn client_of(&self, connection: usize) -> Option<ClientId> {
        self.sessions.get(&connection).map(|(client, _)| *client)
    }

    /// Returns whether the room is full for this client.
    pub(crate) fn is_full_for(&self, client: ClientId, sessions_max: usize) -> bool {
        // A client that connects again has two sessions until it is told about the end of the first one.
        let clients: BTreeSet<ClientId> = self.sessions.values().map(|(client, _)| *client).collect();
        clients.len() >= sessions_max && !clients.contains(&client)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Checks the conditions that hold whenever the room has finished its work.
    pub(crate) fn check(&self, now: u64) {
        let mut clients = BTreeSet::new();
        for (client, _) in self.sessions.values() {
            assert!(clients.insert(client), "{client} has two sessions");
        }
        if now > self.changed_at + PRESENCE_INTERVAL_MICROS {
            assert_eq!(self.told, self.participants(), "who is present was not told");
        }
    }

    /// Checks the log's members whenever the room is at rest and its storage works. `joined` are the participants who have joined in the log
    /// and not left.
    pub(crate) fn check_membership(&self, joined: &BTreeSet<Author>) {
        assert_eq!(*joined, self.participants(), "the log has others as members than those who are there");
    }

    pub(crate) fn participants(&self) -> BTreeSet<Author> {
        self.sessions.values().map(|(_, author)| author.clone()).collect()
    }
}
