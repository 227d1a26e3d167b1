//! The clients and participants that a room's events mention, for comparison with the records in its snapshots.

use std::collections::{BTreeSet, HashMap};

use reapply_sync::snapshot::KnownClient;
use reapply_sync::{Author, ClientId, Event, Input, Seq, Snapshot};

use super::limits::CLIENTS_FOLLOWED_MAX;

/// The clients and participants of a log so far.
#[derive(Debug, Default)]
pub(crate) struct ClientRoster {
    clients: HashMap<ClientId, KnownClient>,
    present: BTreeSet<Author>,
    /// A client may be missing if its last event is at or before this one.
    blurred: Seq,
}

impl ClientRoster {
    /// Starts with the clients and participants of the snapshot that a log begins at.
    pub(crate) fn from_snapshot(snapshot: &Snapshot) -> Self {
        Self {
            clients: snapshot.clients.iter().map(|known| (known.client, *known)).collect(),
            present: snapshot.present.iter().cloned().collect(),
            blurred: snapshot.seq,
        }
    }

    pub(crate) fn handle_event(&mut self, event: &Event) {
        match &event.input {
            Input::Transition { client, number, .. } => {
                let (client, number, seq, time) = (*client, *number, event.seq, event.time);
                let known_from = self.clients.get(&client).map_or(number, |known| known.known_from);
                self.clients.insert(client, KnownClient { client, known_from, number, seq, time });
                if self.clients.len() > CLIENTS_FOLLOWED_MAX {
                    self.leave_out_the_silent();
                }
            }
            Input::Joined(author) => drop(self.present.insert(author.clone())),
            Input::Left(author) => drop(self.present.remove(author)),
            Input::Alarm(_) | Input::Upgraded(_) | Input::Checkpoint { .. } | Input::Forked { .. } => {}
        }
    }

    /// Compares with a snapshot, which may have forgotten a client, but not remember one differently.
    pub(crate) fn check(&self, snapshot: &Snapshot) -> Result<(), String> {
        let is_wrong = |known: &&KnownClient| match self.clients.get(&known.client) {
            Some(followed) => KnownClient { known_from: followed.known_from, ..**known } != *followed,
            None => known.seq > self.blurred,
        };
        // The first known number of a client depends on when the room forgot others, which the log does not record.
        if let Some(KnownClient { client, number, .. }) = snapshot.clients.iter().find(is_wrong) {
            return Err(format!("it says that {number} was the last number of client {client}, and the log does not"));
        }
        if !snapshot.present.iter().eq(&self.present) {
            return Err("it names other participants than had joined by then".to_owned());
        }
        Ok(())
    }

    /// Removes half of the clients at once, those that were silent for longest. So this is rare.
    fn leave_out_the_silent(&mut self) {
        let mut seqs: Vec<Seq> = self.clients.values().map(|known| known.seq).collect();
        let (_, middle, _) = seqs.select_nth_unstable(CLIENTS_FOLLOWED_MAX / 2);
        self.blurred = *middle;
        self.clients.retain(|_, known| known.seq > self.blurred);
    }
}
