//! What a room remembers of each client, so that a transition is decided exactly once however often it is submitted.

use std::collections::{BTreeMap, VecDeque};

use crate::id::{ClientId, Number, Seq, Timestamp};
use crate::limits::{
    CLIENT_REMEMBERED_MICROS, CLIENTS_REMEMBERED_MAX, REASONS_REMEMBERED_BYTES_MAX, REJECTIONS_REMEMBERED_MAX,
};
use crate::message::Rejection;
use crate::snapshot::KnownClient;

/// The table of clients, bounded by [`CLIENTS_REMEMBERED_MAX`] and [`CLIENT_REMEMBERED_MICROS`].
#[derive(Debug, Default)]
pub(crate) struct Clients {
    by_id: BTreeMap<ClientId, Client>,
    /// What the remembered rejections' reasons take.
    reasons_bytes: usize,
    /// Whether a client was ever forgotten.
    has_forgotten: bool,
}

#[derive(Debug, Default)]
struct Client {
    /// The last number decided: accepted (durable or not yet) or rejected.
    decided: Number,
    /// The last number that is accepted and durable, and its event.
    durable: Number,
    durable_seq: Seq,
    durable_time: Timestamp,
    /// Where the log stood when this client was last heard of; who was silent for longest is forgotten first.
    heard: Seq,
    /// The last rejections, oldest first.
    rejections: VecDeque<(Number, Rejection)>,
}

impl Client {
    /// The last number whose decision the client was told of, or will find among the durable events.
    fn told(&self) -> Number {
        let rejected = self.rejections.back().map_or(Number(0), |&(number, _)| number);
        self.durable.max(rejected)
    }
}

impl Clients {
    /// The table that a snapshot recorded.
    pub(crate) fn restore(recorded: &[KnownClient], has_forgotten: bool) -> Self {
        let mut clients = Self { has_forgotten, ..Self::default() };
        for &KnownClient { client, number, seq, time } in recorded {
            clients.replay(client, number, seq, time);
        }
        clients
    }

    /// What a snapshot at this time records: the durable part. Whoever has been silent for too long is forgotten.
    pub(crate) fn record(&mut self, now: Timestamp) -> Vec<KnownClient> {
        let silent_since = now.0.saturating_sub(CLIENT_REMEMBERED_MICROS);
        let is_silent = |client: &Client| client.durable > Number(0) && client.durable_time.0 < silent_since;
        let silent: Vec<_> = self.by_id.iter().filter(|(_, client)| is_silent(client)).map(|(&id, _)| id).collect();
        self.has_forgotten |= !silent.is_empty();
        // One whose decision is still to be told stays here until it was told, but what is recorded rests on durable events alone.
        let is_told = |id: &ClientId| self.by_id.get(id).is_some_and(|client| client.decided == client.told());
        let forgettable: Vec<_> = silent.into_iter().filter(is_told).collect();
        forgettable.into_iter().for_each(|id| self.forget(id));
        let durable = self.by_id.iter().filter(|(_, client)| client.durable > Number(0) && !is_silent(client));
        let known = |(&client, known): (&ClientId, &Client)| KnownClient {
            client,
            number: known.durable,
            seq: known.durable_seq,
            time: known.durable_time,
        };
        durable.map(known).collect()
    }

    /// Whether a client was ever forgotten.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.has_forgotten
    }

    /// Whether this client may be one that was forgotten.
    pub(crate) fn may_have_forgotten(&self, client: ClientId) -> bool {
        self.has_forgotten && !self.by_id.contains_key(&client)
    }

    /// An event of the log, read back.
    pub(crate) fn replay(&mut self, client: ClientId, number: Number, seq: Seq, time: Timestamp) {
        self.decide(client, number, seq);
        self.settle(client, number, seq, time);
    }

    pub(crate) fn decided(&self, client: ClientId) -> Number {
        self.by_id.get(&client).map_or(Number(0), |client| client.decided)
    }

    /// The last number whose decision the client was told of, or will find among the durable events.
    pub(crate) fn told(&self, client: ClientId) -> Number {
        self.by_id.get(&client).map_or(Number(0), Client::told)
    }

    /// The event that the number became, if it is the last one of its client that became one.
    pub(crate) fn accepted_at(&self, client: ClientId, number: Number) -> Option<Seq> {
        let client = self.by_id.get(&client).filter(|client| client.durable == number)?;
        Some(client.durable_seq)
    }

    /// The number is decided: as an event, or as a rejection that is yet to be told.
    pub(crate) fn decide(&mut self, id: ClientId, number: Number, head: Seq) {
        let client = self.by_id.entry(id).or_default();
        client.decided = client.decided.max(number);
        client.heard = head;
        self.forget_beyond_limit(id);
    }

    /// The number's event is durable.
    pub(crate) fn settle(&mut self, id: ClientId, number: Number, seq: Seq, time: Timestamp) {
        if let Some(client) = self.by_id.get_mut(&id) {
            client.durable = client.durable.max(number);
            client.durable_seq = client.durable_seq.max(seq);
            client.durable_time = client.durable_time.max(time);
        }
    }

    /// The number was rejected, and its client is about to be told.
    pub(crate) fn remember(&mut self, id: ClientId, number: Number, why: Rejection) {
        let Some(client) = self.by_id.get_mut(&id) else { return };
        if client.rejections.iter().any(|&(known, _)| known == number) {
            return;
        }
        if client.rejections.len() == REJECTIONS_REMEMBERED_MAX
            && let Some((_, oldest)) = client.rejections.pop_front()
        {
            self.reasons_bytes -= oldest.text_bytes();
        }
        let has_space = self.reasons_bytes + why.text_bytes() <= REASONS_REMEMBERED_BYTES_MAX;
        let why = if has_space { why } else { Rejection::Forgotten };
        self.reasons_bytes += why.text_bytes();
        client.rejections.push_back((number, why));
    }

    pub(crate) fn rejections(&self, id: ClientId) -> impl Iterator<Item = &(Number, Rejection)> {
        self.by_id.get(&id).into_iter().flat_map(|client| &client.rejections)
    }

    /// What was decided but never told is undecided again: the journal failed, and the clients will resubmit.
    pub(crate) fn fall_back(&mut self) {
        for client in self.by_id.values_mut() {
            client.decided = client.told();
        }
    }

    fn forget_beyond_limit(&mut self, keep: ClientId) {
        if self.by_id.len() <= CLIENTS_REMEMBERED_MAX {
            return;
        }
        // A tenth at once, so that the search for the silent ones is rare. Never one whose decision is still to be told: it
        // will submit again if its connection is lost, and that must not count as new.
        let forgettable = self.by_id.iter().filter(|&(&id, client)| id != keep && client.decided == client.told());
        let mut by_silence: Vec<_> = forgettable.map(|(&id, client)| (client.heard, id)).collect();
        by_silence.sort_unstable();
        for (_, id) in by_silence.into_iter().take(CLIENTS_REMEMBERED_MAX / 10) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ClientId) {
        self.has_forgotten = true;
        let forgotten = self.by_id.remove(&id).into_iter().flat_map(|client| client.rejections);
        self.reasons_bytes -= forgotten.map(|(_, why)| why.text_bytes()).sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_bounded_and_forgets_the_silent() {
        let mut clients = Clients::default();
        for index in 0..=CLIENTS_REMEMBERED_MAX as u64 {
            clients.replay(ClientId(index.to_be_bytes()), Number(1), Seq(index + 1), Timestamp(0));
        }
        assert!(clients.by_id.len() <= CLIENTS_REMEMBERED_MAX);
        assert_eq!(clients.decided(ClientId(0u64.to_be_bytes())), Number(0));
        assert_eq!(clients.decided(ClientId((CLIENTS_REMEMBERED_MAX as u64).to_be_bytes())), Number(1));
    }

    #[test]
    fn a_client_that_was_silent_for_too_long_is_forgotten_and_that_is_known() {
        let mut clients = Clients::default();
        let (silent, heard) = (ClientId([1; 8]), ClientId([2; 8]));
        clients.replay(silent, Number(3), Seq(1), Timestamp(0));
        clients.replay(heard, Number(4), Seq(2), Timestamp(1));
        assert!(!clients.may_have_forgotten(silent) && !clients.may_have_forgotten(ClientId([3; 8])));
        assert_eq!(clients.record(Timestamp(CLIENT_REMEMBERED_MICROS)).len(), 2);
        let recorded = clients.record(Timestamp(CLIENT_REMEMBERED_MICROS + 1));
        assert_eq!(recorded.iter().map(|known| known.client).collect::<Vec<_>>(), [heard]);
        let restored = Clients::restore(&recorded, clients.has_forgotten());
        for clients in [&clients, &restored] {
            assert!(clients.may_have_forgotten(silent) && !clients.may_have_forgotten(heard));
            assert_eq!(clients.decided(silent), Number(0));
        }
    }

    #[test]
    fn a_client_that_still_waits_for_its_answer_is_not_forgotten() {
        let mut clients = Clients::default();
        let waiting = ClientId([0; 8]);
        clients.decide(waiting, Number(1), Seq(1));
        for index in 1..=2 * CLIENTS_REMEMBERED_MAX as u64 {
            clients.replay(ClientId(index.to_be_bytes()), Number(1), Seq(index + 1), Timestamp(0));
        }
        assert!(clients.by_id.len() <= CLIENTS_REMEMBERED_MAX);
        assert_eq!(clients.decided(waiting), Number(1));
    }

    #[test]
    fn reasons_are_bounded_and_numbers_are_kept_without_them() {
        let mut clients = Clients::default();
        let why = Rejection::Conflict("x".repeat(REASONS_REMEMBERED_BYTES_MAX / 10));
        for number in 1..=2 * REJECTIONS_REMEMBERED_MAX as u64 {
            for client in [ClientId([1; 8]), ClientId([2; 8])] {
                clients.decide(client, Number(number), Seq(1));
                clients.remember(client, Number(number), why.clone());
                assert_eq!(clients.told(client), Number(number));
            }
        }
        let all: Vec<_> = [1, 2].iter().flat_map(|&id| clients.rejections(ClientId([id; 8]))).collect();
        assert_eq!(all.len(), 2 * REJECTIONS_REMEMBERED_MAX);
        let bytes: usize = all.iter().map(|(_, why)| why.text_bytes()).sum();
        assert_eq!(bytes, clients.reasons_bytes);
        assert!(bytes <= REASONS_REMEMBERED_BYTES_MAX);
    }

    #[test]
    fn falling_back_undecides_what_was_never_told() {
        let mut clients = Clients::default();
        let id = ClientId([1; 8]);
        clients.replay(id, Number(1), Seq(1), Timestamp(0));
        clients.decide(id, Number(2), Seq(2));
        clients.fall_back();
        assert_eq!(clients.decided(id), Number(1));
        clients.decide(id, Number(2), Seq(2));
        clients.remember(id, Number(2), Rejection::Forgotten);
        clients.decide(id, Number(3), Seq(2));
        clients.fall_back();
        assert_eq!(clients.decided(id), Number(2));
    }
}
