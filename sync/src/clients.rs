//! A room's records of its clients, so that a transition is decided exactly once however often it is submitted.
//!
//! A replica decides at `Welcome` which transitions it submits again, so from then on until its session ends the room must not forget its
//! client. Of the others the room forgets some, by [`Limits`]. It keeps one [`Forgotten`] for all of these, which tells a returning client
//! which of its transitions may have become events that the room no longer knows. Clients that were only ever rejected
//! have no events, so they are forgotten without a trace.

use std::collections::{BTreeMap, VecDeque};

use crate::id::{ClientId, Number, Seq, SessionId, Timestamp};
use crate::limits::{FORGOTTEN_NUMBERS_STEP_MAX, Limits};
use crate::message::{ForgottenClient, Rejection};
use crate::snapshot::{Forgotten, KnownClient};

/// The table of clients.
#[derive(Debug)]
pub(crate) struct Clients {
    limits: Limits,
    by_id: BTreeMap<ClientId, Client>,
    /// The number of clients that have an event.
    with_events: usize,
    /// The counts of clients with and without events at which the next ones are forgotten: above the limits if too few could be.
    with_events_due: usize,
    rejected_due: usize,
    /// The clients with a session.
    connected: BTreeMap<ClientId, Connected>,
    /// The bytes of the remembered rejections' reasons.
    reasons_bytes: usize,
    /// The traces of forgotten clients; `None` while no client with events was forgotten.
    forgotten: Option<Forgotten>,
}

#[derive(Debug)]
struct Client {
    /// The first number whose decision is known here; lower ones may have been decided and forgotten.
    known_from: Number,
    /// The last number decided: accepted (durable or not yet) or rejected.
    decided: Number,
    /// The last number that is accepted and durable, and its event.
    durable: Number,
    durable_seq: Seq,
    durable_time: Timestamp,
    /// The log's head when this client was last active; the client that was silent for longest is forgotten first.
    heard: Seq,
    /// The last rejections, oldest first.
    rejections: VecDeque<(Number, Rejection)>,
}

/// A client's session, or several in a row without a gap.
#[derive(Debug)]
struct Connected {
    session: SessionId,
    /// The room's [`Forgotten`] when the first of them began. Later traces are not of this client.
    forgotten: Option<Forgotten>,
}

impl Client {
    fn known_from(number: Number) -> Self {
        Self {
            known_from: number,
            decided: Number(0),
            durable: Number(0),
            durable_seq: Seq(0),
            durable_time: Timestamp(0),
            heard: Seq(0),
            rejections: VecDeque::new(),
        }
    }

    /// Returns the last number whose decision the client was told, or will find among the durable events.
    fn told(&self) -> Number {
        let rejected = self.rejections.back().map_or(Number(0), |&(number, _)| number);
        self.durable.max(rejected)
    }

    fn has_events(&self) -> bool {
        self.durable > Number(0)
    }
}

impl Clients {
    /// Returns the table in a snapshot.
    pub(crate) fn restore(recorded: &[KnownClient], forgotten: Option<Forgotten>, limits: Limits) -> Self {
        let mut clients = Self {
            limits,
            by_id: BTreeMap::new(),
            with_events: 0,
            with_events_due: limits.clients_remembered_max,
            rejected_due: limits.clients_rejected_max,
            connected: BTreeMap::new(),
            reasons_bytes: 0,
            forgotten,
        };
        for &KnownClient { client, known_from, number, seq, time } in recorded {
            let mut known = Client::known_from(known_from);
            (known.decided, known.durable, known.durable_seq) = (number, number, seq);
            (known.durable_time, known.heard) = (time, seq);
            clients.with_events += usize::from(clients.by_id.insert(client, known).is_none());
        }
        clients
    }

    /// Returns the records for a snapshot at this time: the clients with events. First forgets those that have been silent for too long.
    pub(crate) fn record(&mut self, now: Timestamp) -> Vec<KnownClient> {
        let silent_since = now.0.saturating_sub(self.limits.client_remembered_micros);
        let silent = self.forgettable(|client| client.has_events() && client.durable_time.0 < silent_since);
        self.forget_all(silent.into_iter().map(|(_, id)| id));
        let with_events = self.by_id.iter().filter(|(_, client)| client.has_events());
        let known = |(&client, known): (&ClientId, &Client)| KnownClient {
            client,
            known_from: known.known_from,
            number: known.durable,
            seq: known.durable_seq,
            time: known.durable_time,
        };
        with_events.map(known).collect()
    }

    /// Returns the approximate bytes of memory that the table takes.
    pub(crate) fn bytes(&self) -> usize {
        let client = size_of::<(ClientId, Client)>();
        let connected = size_of::<(ClientId, Connected)>();
        self.by_id.len() * client + self.connected.len() * connected + self.reasons_bytes
    }

    /// Returns the traces of forgotten clients with events, if there are any.
    pub(crate) fn forgotten(&self) -> Option<Forgotten> {
        self.forgotten
    }

    /// Begins a session of the client, which is not forgotten before its sessions have ended.
    pub(crate) fn connect(&mut self, client: ClientId, session: SessionId) {
        let begun = Connected { session, forgotten: self.forgotten };
        self.connected.entry(client).or_insert(begun).session = session;
    }

    /// Ends a session. The client may have another one by now.
    pub(crate) fn disconnect(&mut self, client: ClientId, session: SessionId) {
        if self.connected.get(&client).is_some_and(|connected| connected.session == session) {
            self.connected.remove(&client);
        }
    }

    /// Returns the traces that may be of this client.
    pub(crate) fn forgotten_of(&self, client: ClientId) -> Option<ForgottenClient> {
        let Forgotten { seq, number } = self.forgotten_before(client)?;
        let known_from = self.by_id.get(&client).map(|known| known.known_from);
        let is_all_known = known_from.is_some_and(|number| number <= Number::FIRST);
        (!is_all_known).then_some(ForgottenClient { seq, number, known_from })
    }

    /// Adds an event of the log while it is read back.
    pub(crate) fn replay(&mut self, client: ClientId, number: Number, seq: Seq, time: Timestamp) {
        self.decide(client, number, seq);
        self.settle(client, number, seq, time);
    }

    pub(crate) fn decided(&self, client: ClientId) -> Number {
        self.by_id.get(&client).map_or(Number(0), |client| client.decided)
    }

    /// Returns the last number whose decision the client was told, or will find among the durable events.
    pub(crate) fn told(&self, client: ClientId) -> Number {
        self.by_id.get(&client).map_or(Number(0), Client::told)
    }

    /// Returns the event of this number, if it is the client's last number with an event.
    pub(crate) fn accepted_at(&self, client: ClientId, number: Number) -> Option<Seq> {
        let client = self.by_id.get(&client).filter(|client| client.durable == number)?;
        Some(client.durable_seq)
    }

    /// Records that the number is decided: as an event, or as a rejection that is yet to be sent. A client without a key is not recorded:
    /// it cannot submit again.
    pub(crate) fn decide(&mut self, id: ClientId, number: Number, head: Seq) {
        if id.is_keyless() {
            return;
        }
        let known_from = if self.forgotten_before(id).is_some() { number } else { Number::FIRST };
        let client = self.by_id.entry(id).or_insert_with(|| Client::known_from(known_from));
        client.decided = client.decided.max(number);
        client.heard = head;
        self.forget_beyond_limits(id);
    }

    /// Records that the number's event is durable.
    pub(crate) fn settle(&mut self, id: ClientId, number: Number, seq: Seq, time: Timestamp) {
        if let Some(client) = self.by_id.get_mut(&id) {
            self.with_events += usize::from(!client.has_events());
            client.durable = client.durable.max(number);
            client.durable_seq = client.durable_seq.max(seq);
            client.durable_time = client.durable_time.max(time);
            self.forget_beyond_limits(id);
        }
    }

    /// Records that the number was rejected, and its client is about to be told.
    pub(crate) fn remember(&mut self, id: ClientId, number: Number, why: Rejection) {
        let Some(client) = self.by_id.get_mut(&id) else { return };
        if client.rejections.iter().any(|&(known, _)| known == number) {
            return;
        }
        if client.rejections.len() >= self.limits.rejections_remembered_max
            && let Some((_, oldest)) = client.rejections.pop_front()
        {
            self.reasons_bytes -= oldest.text_bytes();
        }
        let has_space = self.reasons_bytes + why.text_bytes() <= self.limits.reasons_remembered_bytes_max;
        let why = if has_space { why } else { Rejection::Forgotten };
        self.reasons_bytes += why.text_bytes();
        client.rejections.push_back((number, why));
    }

    pub(crate) fn rejections(&self, id: ClientId) -> impl Iterator<Item = &(Number, Rejection)> {
        self.by_id.get(&id).into_iter().flat_map(|client| &client.rejections)
    }

    /// Makes decisions that were never told undecided again: the journal failed, and the clients will resubmit. A client that was new
    /// with them is removed: an empty entry would claim that the room knows the client's past.
    pub(crate) fn fall_back(&mut self) {
        for client in self.by_id.values_mut() {
            client.decided = client.told();
        }
        self.by_id.retain(|_, client| client.decided > Number(0));
    }

    /// Returns the traces from before the room began to remember this client: some of them may be this client's.
    fn forgotten_before(&self, client: ClientId) -> Option<Forgotten> {
        self.connected.get(&client).map_or(self.forgotten, |connected| connected.forgotten)
    }

    fn forget_beyond_limits(&mut self, keep: ClientId) {
        // A tenth at once, so that the search for silent clients is rare.
        if self.with_events > self.with_events_due {
            let limit = self.limits.clients_remembered_max;
            self.forget_silent(keep, limit, Client::has_events);
            self.with_events_due = due(limit, self.with_events);
        }
        if self.by_id.len() - self.with_events > self.rejected_due {
            let limit = self.limits.clients_rejected_max;
            self.forget_silent(keep, limit, |client| !client.has_events());
            self.rejected_due = due(limit, self.by_id.len() - self.with_events);
        }
    }

    /// Forgets a tenth of `limit` clients, and one at least: among those that satisfy `is_meant`, those that were silent for longest.
    fn forget_silent(&mut self, keep: ClientId, limit: usize, is_meant: impl Fn(&Client) -> bool) {
        let mut by_silence = self.forgettable(is_meant);
        by_silence.retain(|&(_, id)| id != keep);
        by_silence.sort_unstable();
        self.forget_all(by_silence.into_iter().take((limit / 10).max(1)).map(|(_, id)| id));
    }

    /// Returns those of some clients that may be forgotten, each with the time of its last activity. A client with a session is not among
    /// them, nor one whose decision is still to be told: it will submit again if its connection is lost, and that must not count as new.
    fn forgettable(&self, is_meant: impl Fn(&Client) -> bool) -> Vec<(Seq, ClientId)> {
        let is_forgettable = |id: &ClientId, client: &Client| {
            client.decided == client.told() && !self.connected.contains_key(id) && is_meant(client)
        };
        let forgettable = self.by_id.iter().filter(|&(id, client)| is_forgettable(id, client));
        forgettable.map(|(&id, client)| (client.heard, id)).collect()
    }

    fn forget_all(&mut self, ids: impl Iterator<Item = ClientId>) {
        let floor = self.forgotten.map_or(0, |forgotten| forgotten.number.0);
        let number_max = floor.saturating_add(FORGOTTEN_NUMBERS_STEP_MAX);
        for id in ids {
            let Some(client) = self.by_id.remove(&id) else { continue };
            self.reasons_bytes -= client.rejections.iter().map(|(_, why)| why.text_bytes()).sum::<usize>();
            if client.has_events() {
                self.with_events -= 1;
                let forgotten = self.forgotten.get_or_insert(Forgotten { seq: Seq(0), number: Number(0) });
                forgotten.seq = forgotten.seq.max(client.durable_seq);
                let counted = [client.durable, client.decided].into_iter().filter(|number| number.0 <= number_max);
                forgotten.number = counted.fold(forgotten.number, Number::max);
            }
        }
    }
}

/// Returns the count at which the next clients are forgotten: the limit, or a tenth more than there are if too few could be forgotten.
fn due(limit: usize, count: usize) -> usize {
    if count <= limit { limit } else { count + limit / 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        clients_remembered_max: 20,
        clients_rejected_max: 20,
        client_remembered_micros: 1_000,
        rejections_remembered_max: 4,
        reasons_remembered_bytes_max: 100,
        rejections_held_max: 10,
        batch_events_max: 10,
        batch_bytes_max: 1_000,
        readers_tail_bytes_min: 1_000,
        snapshot_bytes_max: 1_000,
        room_sessions_max: 10,
        tail_cost_min: 1_000,
        snapshot_part_bytes: 0,
        events_read_bytes: 0,
        overfull_tail_bytes_min: 0,
        sleep_tail_bytes_min: 0,
    };

    fn id(index: u64) -> ClientId {
        let mut id = [1; 16];
        id[8..].copy_from_slice(&index.to_be_bytes());
        ClientId(id)
    }

    fn clients() -> Clients {
        Clients::restore(&[], None, LIMITS)
    }

    /// Returns this many clients with one event each, from `seq` on.
    fn accept(clients: &mut Clients, ids: std::ops::Range<u64>, seq: u64) {
        for (client, seq) in ids.zip(seq..) {
            clients.replay(id(client), Number(1), Seq(seq), Timestamp(0));
        }
    }

    fn reject(clients: &mut Clients, id: ClientId, number: u64) {
        clients.decide(id, Number(number), Seq(1));
        clients.remember(id, Number(number), Rejection::Conflict("no".to_owned()));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_silent() {
        let mut clients = clients();
        accept(&mut clients, 0..21, 1);
        assert_eq!(clients.forgotten(), Some(Forgotten { seq: Seq(2), number: Number(1) }));
        assert_eq!((clients.by_id.len(), clients.with_events), (19, 19));
        assert_eq!(clients.decided(id(0)), Number(0));
        let nothing_known = ForgottenClient { seq: Seq(2), number: Number(1), known_from: None };
        assert_eq!(clients.forgotten_of(id(0)), Some(nothing_known));
        assert_eq!((clients.decided(id(20)), clients.forgotten_of(id(20))), (Number(1), None));
    }

    #[test]
    fn whoever_spoke_again_is_forgotten_after_those_who_did_not() {
        let mut clients = clients();
        accept(&mut clients, 0..20, 1);
        clients.replay(id(0), Number(2), Seq(50), Timestamp(0));
        clients.replay(id(1), Number(2), Seq(51), Timestamp(0));
        accept(&mut clients, 20..21, 60);
        let forgotten: Vec<u64> = (0..21).filter(|&index| clients.decided(id(index)) == Number(0)).collect();
        assert_eq!(forgotten, [2, 3]);
    }

    #[test]
    fn a_client_with_a_session_is_forgotten_neither_for_space_nor_for_time() {
        let mut clients = clients();
        accept(&mut clients, 0..2, 1);
        clients.connect(id(0), SessionId(1));
        clients.connect(id(0), SessionId(2));
        clients.disconnect(id(0), SessionId(1));
        accept(&mut clients, 10..90, 3);
        assert_eq!((clients.decided(id(0)), clients.decided(id(1))), (Number(1), Number(0)));
        assert!(clients.record(Timestamp(1_001)).iter().any(|known| known.client == id(0)));
        assert_eq!(clients.by_id.len(), 1, "the others were silent for too long");
        clients.disconnect(id(0), SessionId(2));
        assert!(clients.record(Timestamp(1_001)).is_empty());
        assert!(clients.connected.is_empty());
    }

    #[test]
    fn what_is_forgotten_while_a_client_is_connected_is_not_of_that_client() {
        let mut clients = clients();
        clients.connect(id(0), SessionId(1));
        accept(&mut clients, 10..60, 1);
        assert!(clients.forgotten().is_some());
        clients.connect(id(0), SessionId(2));
        assert_eq!(clients.forgotten_of(id(0)), None);
        clients.decide(id(0), Number(4), Seq(60));
        assert_eq!(clients.by_id[&id(0)].known_from, Number::FIRST);
        assert!(clients.forgotten_of(id(1)).is_some());
    }

    #[test]
    fn whoever_was_only_rejected_takes_no_place_of_those_who_were_accepted_and_leaves_no_trace() {
        let mut clients = clients();
        accept(&mut clients, 0..20, 1);
        for stranger in 100..1_000 {
            reject(&mut clients, id(stranger), 1);
            clients.decide(ClientId::keyless(stranger), Number(1), Seq(1));
        }
        assert_eq!((clients.with_events, clients.forgotten()), (20, None));
        assert!(clients.by_id.len() <= 20 + LIMITS.clients_rejected_max);
        assert_eq!(clients.decided(id(999)), Number(1));
        let bytes: usize =
            clients.by_id.values().flat_map(|client| &client.rejections).map(|(_, why)| why.text_bytes()).sum();
        assert_eq!(bytes, clients.reasons_bytes);
    }

    #[test]
    fn a_client_that_comes_back_is_known_from_its_first_new_number_on() {
        let mut clients = clients();
        accept(&mut clients, 0..21, 1);
        clients.replay(id(0), Number(7), Seq(30), Timestamp(900));
        let known_in_part = ForgottenClient { seq: Seq(2), number: Number(1), known_from: Some(Number(7)) };
        assert_eq!(clients.forgotten_of(id(0)), Some(known_in_part));
        let recorded = clients.record(Timestamp(900));
        let restored = Clients::restore(&recorded, clients.forgotten(), LIMITS);
        assert_eq!(restored.forgotten_of(id(0)), Some(known_in_part));
        assert_eq!((restored.decided(id(0)), restored.with_events), (Number(7), recorded.len()));
    }

    #[test]
    fn numbers_that_nobody_counts_up_to_do_not_raise_the_floor() {
        let mut clients = clients();
        let forget = |clients: &mut Clients, number: u64| {
            clients.replay(id(number), Number(number), Seq(number), Timestamp(0));
            clients.record(Timestamp(2_000));
            clients.forgotten().map(|forgotten| forgotten.number.0)
        };
        assert_eq!(forget(&mut clients, 1 << 52), Some(0));
        assert_eq!(forget(&mut clients, 5_000), Some(5_000));
        assert_eq!(forget(&mut clients, FORGOTTEN_NUMBERS_STEP_MAX + 5_001), Some(5_000));
        // A client that counts, and was rejected once with a number that it had not reached.
        clients.replay(id(1), Number(6_000), Seq(1), Timestamp(0));
        reject(&mut clients, id(1), 1 << 52);
        clients.record(Timestamp(2_000));
        assert_eq!(clients.forgotten().map(|forgotten| forgotten.number), Some(Number(6_000)));
        let step = FORGOTTEN_NUMBERS_STEP_MAX + 6_000;
        assert_eq!(forget(&mut clients, step), Some(step));
    }

    #[test]
    fn a_client_that_still_waits_for_its_answer_is_not_forgotten() {
        let mut clients = clients();
        clients.decide(id(0), Number(1), Seq(1));
        accept(&mut clients, 1..99, 2);
        assert!(clients.by_id.len() <= LIMITS.clients_remembered_max + 1);
        assert_eq!(clients.decided(id(0)), Number(1));
    }

    #[test]
    fn reasons_are_bounded_and_numbers_are_kept_without_them() {
        let mut clients = clients();
        let why = Rejection::Conflict("x".repeat(LIMITS.reasons_remembered_bytes_max / 5));
        for number in 1..=8 {
            for client in [id(1), id(2)] {
                clients.decide(client, Number(number), Seq(1));
                clients.remember(client, Number(number), why.clone());
                assert_eq!(clients.told(client), Number(number));
            }
        }
        let all: Vec<_> = [1, 2].iter().flat_map(|&index| clients.rejections(id(index))).collect();
        assert_eq!(all.len(), 2 * LIMITS.rejections_remembered_max);
        let bytes: usize = all.iter().map(|(_, why)| why.text_bytes()).sum();
        assert_eq!(bytes, clients.reasons_bytes);
        assert!(bytes <= LIMITS.reasons_remembered_bytes_max);
    }

    #[test]
    fn falling_back_undecides_what_was_never_told_and_leaves_no_empty_entry() {
        let mut clients = clients();
        accept(&mut clients, 1..2, 1);
        clients.decide(id(1), Number(2), Seq(2));
        clients.decide(id(9), Number(5), Seq(2));
        clients.fall_back();
        assert_eq!((clients.decided(id(1)), clients.by_id.len()), (Number(1), 1));
        clients.decide(id(1), Number(2), Seq(2));
        clients.remember(id(1), Number(2), Rejection::Forgotten);
        clients.decide(id(1), Number(3), Seq(2));
        clients.fall_back();
        assert_eq!(clients.decided(id(1)), Number(2));
    }
}
