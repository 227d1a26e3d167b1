//! The host of the simulation: a journal that survives crashes, and a room that does what a host's room does.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::{
    ApplyError, Author, Batch, Chain, ClientId, ClientMessage, Digest, Genesis, Goodbye, Limits, Machine, Refusal,
    Rejection, Report, RoomId, Seq, Sequencer, ServerMessage, SessionId, Snapshot, SnapshotPolicy, Submit, Timestamp,
    UpgradeError,
};

use crate::build::{Build, digest_of, number_of};
use crate::conditions::Conditions;
use crate::random::Random;
use crate::scenario::{Place, Scenario};

/// What outlives the host's process.
pub(crate) struct Journal {
    pub(crate) genesis: Genesis,
    /// Each record: the seq before it, its bytes, the chain after it.
    records: Vec<(Seq, Bytes, Chain)>,
    pub(crate) snapshots: Vec<Arc<Snapshot>>,
    /// Within these the room is opened.
    limits: Limits,
    snapshot_policy: SnapshotPolicy,
}

impl Journal {
    pub(crate) fn new(machine: &str, nonce: u64, conditions: &Conditions) -> Self {
        let digest = digest_of(machine, 0);
        let room = RoomId { machine: machine.parse().unwrap(), room: "simulated".parse().unwrap() };
        let genesis = Genesis { room, digest, options: String::new(), time: Timestamp(1_000_000), nonce };
        Self {
            genesis,
            records: Vec::new(),
            snapshots: Vec::new(),
            limits: conditions.limits,
            snapshot_policy: conditions.snapshot_policy,
        }
    }

    pub(crate) fn store(&mut self, batch: &Batch) {
        self.records.push((batch.expected, batch.body.clone(), batch.chain));
    }

    /// Goes back to an earlier moment, as if a backup from then had been restored. Answers the log's head.
    pub(crate) fn restore(&mut self, random: &mut Random) -> Seq {
        self.records.truncate(random.index(self.records.len() + 1));
        let ends = |(expected, body, _): &(Seq, Bytes, Chain)| {
            expected.0 + Batch::read(*expected, body).expect("the log reads back").len() as u64
        };
        let head = Seq(self.records.last().map_or(0, ends));
        self.snapshots.retain(|snapshot| snapshot.seq <= head);
        head
    }

    /// Opens the room as a host does: from a snapshot, where there is one, and the records after it.
    pub(crate) fn open<S: Scenario>(&self, scenario: &S, snapshot: Option<&Snapshot>) -> Sequencer<Build<S::Machine>> {
        let mut chain = self.genesis.chain();
        let mut batches = Vec::new();
        for (expected, body, chain_after) in &self.records {
            let batch = Batch::decode(*expected, chain, body.clone(), *chain_after).expect("the log reads back");
            chain = batch.chain;
            if snapshot.is_none_or(|snapshot| snapshot.seq <= *expected) {
                batches.push(batch);
            }
        }
        let builds = |digest| Ok(Build::new(scenario.machine(Place::Host), number_of(S::NAME, digest)));
        let (log, genesis) = (self.genesis.log_id(), self.genesis.clone());
        let opened = Sequencer::open_within(self.limits, builds, log, genesis, snapshot.cloned(), batches);
        let mut sequencer = opened.expect("the room opens");
        sequencer.set_snapshot_policy(self.snapshot_policy);
        sequencer
    }
}

/// What the room wants done.
pub(crate) enum Effect {
    Send {
        connection: usize,
        frame: Bytes,
    },
    /// No more is heard or sent there.
    Close {
        connection: usize,
    },
    Append(Arc<Batch>),
    StoreSnapshot(Arc<Snapshot>),
    /// This slow reader reads again after a while.
    ReadLater {
        connection: usize,
        after: u64,
    },
}

struct Session {
    client: ClientId,
    /// The last upgrade that its replica has followed.
    upgraded: Seq,
    author: Author,
    place: Seq,
    /// How long this reader takes between two reads; 0 reads at once.
    slowness: u64,
    is_waiting: bool,
    /// Whether its client has connected anew since. Its last frames may still come in.
    is_replaced: bool,
}

#[derive(Default)]
pub(crate) struct RoomCounts {
    pub(crate) faults: u64,
    pub(crate) alarms_refused: u64,
    pub(crate) fall_backs: u64,
    pub(crate) trimmed: u64,
    pub(crate) tails: u64,
    pub(crate) by_snapshot: u64,
    pub(crate) divergences: u64,
    pub(crate) stale_frames: u64,
}

pub(crate) struct Room<M: Machine> {
    pub(crate) sequencer: Sequencer<M>,
    sessions: BTreeMap<usize, Session>,
    /// Whether submissions from replaced sessions are passed on. A host does not; without page reloads it would be safe.
    stale_frames_pass: bool,
    pub(crate) effects: Vec<Effect>,
    pub(crate) counts: RoomCounts,
    /// The build that is to take over when the room is at rest.
    upgrade: Option<(Digest, M)>,
}

impl<M: Machine> Room<M> {
    pub(crate) fn new(sequencer: Sequencer<M>, stale_frames_pass: bool, now: Timestamp, entropy: u64) -> Self {
        let (sessions, effects, counts) = (BTreeMap::new(), Vec::new(), RoomCounts::default());
        let mut room = Self { sequencer, sessions, stale_frames_pass, effects, counts, upgrade: None };
        room.absent_leave(now, entropy);
        room
    }

    pub(crate) fn handle_frame(
        &mut self,
        connection: usize,
        author: Author,
        frame: &[u8],
        world: &mut Random,
        now: Timestamp,
    ) {
        let message = ClientMessage::decode(frame).expect("a replica sends only messages");
        match message {
            ClientMessage::Hello(hello) => {
                let client = hello.key.client_id();
                // Opening a connection takes a round trip, so a client's connections open in their order.
                if self.sessions.range(connection + 1..).any(|(_, session)| session.client == client) {
                    return;
                }
                self.replace(client, connection);
                let slowness = if world.percent(25) { world.below(3_000_000) } else { 0 };
                let is_first = !self.sessions.values().any(|session| session.author == author);
                if is_first {
                    self.sequencer.handle_joined(author.clone(), now, world.bits());
                }
                let session_id = SessionId(connection as u64);
                let (welcome, place) = self.sequencer.welcome(&hello, session_id, author.clone(), now);
                match welcome.start {
                    reapply_sync::Start::Tail => self.counts.tails += 1,
                    reapply_sync::Start::Snapshot { .. } => self.counts.by_snapshot += 1,
                }
                self.send(connection, &ServerMessage::Welcome(welcome));
                let upgraded = self.sequencer.upgraded();
                let session =
                    Session { client, upgraded, author, place, slowness, is_waiting: false, is_replaced: false };
                self.sessions.insert(connection, session);
            }
            ClientMessage::Submit { number, transition } => {
                let Some(session) = self.sessions.get(&connection) else { return };
                self.counts.stale_frames += u64::from(session.is_replaced);
                let (author, client, upgraded) = (session.author.clone(), session.client, session.upgraded);
                let submit = Submit { author, client, number, upgraded, transition };
                if world.percent(2) {
                    self.sequencer.handle_refused(&submit, Rejection::TooFast { per_second_max: 1 });
                } else {
                    self.sequencer.handle_submit(submit, now, world.bits());
                }
            }
            ClientMessage::Upgraded(seq) => {
                if let Some(session) = self.sessions.get_mut(&connection) {
                    session.upgraded = seq;
                }
            }
            ClientMessage::Diverged { .. } => self.counts.divergences += 1,
            ClientMessage::Ping(value) => self.send(connection, &ServerMessage::Pong(value)),
            ClientMessage::Signal(_) => {}
        }
    }

    pub(crate) fn handle_closed(&mut self, connection: usize, now: Timestamp, entropy: u64) {
        if self.remove(connection) {
            self.absent_leave(now, entropy);
        }
    }

    /// Somebody submits a transition without a session.
    pub(crate) fn submit_once(&mut self, submit: Submit, now: Timestamp, entropy: u64) {
        self.sequencer.handle_submit(submit, now, entropy);
    }

    /// Has another build take over at the next rest.
    pub(crate) fn upgrade_to(&mut self, digest: Digest, machine: M) {
        self.upgrade = Some((digest, machine));
    }

    pub(crate) fn handle_appended(&mut self, now: Timestamp, entropy: u64) {
        let digest = self.sequencer.digest();
        self.sequencer.handle_appended();
        if self.sequencer.digest() != digest {
            // The build before may not have asked who comes and goes.
            for author in self.sessions.values().map(|session| session.author.clone()).collect::<Vec<_>>() {
                self.sequencer.handle_joined(author, now, entropy);
            }
            self.absent_leave(now, entropy);
        }
    }

    pub(crate) fn handle_append_failed(&mut self, now: Timestamp, entropy: u64) {
        self.counts.fall_backs += 1;
        self.sequencer.handle_append_failed();
        for connection in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.goodbye(connection, Goodbye::StorageFailed);
        }
        self.absent_leave(now, entropy);
    }

    pub(crate) fn handle_read(&mut self, connection: usize, now: Timestamp, entropy: u64) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.is_waiting = false;
            self.read(connection, now, entropy);
        }
    }

    /// Carries out what the sequencer has come to.
    pub(crate) fn pump(&mut self, now: Timestamp, entropy: u64) {
        if self.sequencer.is_settled()
            && let Some((digest, machine)) = self.upgrade.take()
        {
            match self.sequencer.begin_upgrade(machine, digest, now) {
                Ok(()) | Err(UpgradeError::IsCurrent) => {}
                Err(error) => panic!("{error}"),
            }
        }
        if let Some(batch) = self.sequencer.poll_batch() {
            self.effects.push(Effect::Append(batch));
        }
        while let Some(rejected) = self.sequencer.poll_rejected() {
            let session =
                self.sessions.iter().find(|(_, session)| session.client == rejected.client && !session.is_replaced);
            if let Some((&connection, _)) = session {
                self.send(connection, &ServerMessage::Rejected { number: rejected.number, why: rejected.why });
            }
        }
        if let Some(snapshot) = self.sequencer.poll_snapshot() {
            self.effects.push(Effect::StoreSnapshot(snapshot));
        }
        while let Some(report) = self.sequencer.poll_report() {
            match report {
                Report::Faulted { .. } => self.counts.faults += 1,
                Report::AlarmFailed { why: ApplyError::Refused(Refusal::Malformed(why)), .. } => {
                    panic!("another build's alarm went off: {why}")
                }
                Report::AlarmFailed { .. } => self.counts.alarms_refused += 1,
                other => panic!("{other}"),
            }
        }
        let head = self.sequencer.history().head();
        for connection in self.sessions.keys().copied().collect::<Vec<_>>() {
            let Some(session) = self.sessions.get_mut(&connection) else { continue };
            if session.place == head || session.is_waiting || session.is_replaced {
                continue;
            }
            if session.slowness == 0 {
                self.read(connection, now, entropy);
            } else {
                session.is_waiting = true;
                self.effects.push(Effect::ReadLater { connection, after: session.slowness });
            }
        }
    }

    fn read(&mut self, connection: usize, now: Timestamp, entropy: u64) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        match self.sequencer.history().read(session.place) {
            Ok(None) => {}
            Ok(Some(read)) => {
                session.place = read.upto;
                let sends = read.messages.iter().map(|frame| Effect::Send { connection, frame: frame.clone() });
                self.effects.extend(sends);
            }
            Err(_) => {
                self.counts.trimmed += 1;
                self.goodbye(connection, Goodbye::TooSlow);
                self.absent_leave(now, entropy);
            }
        }
    }

    fn replace(&mut self, client: ClientId, connection: usize) {
        let former = self
            .sessions
            .iter()
            .find(|(id, session)| **id != connection && session.client == client && !session.is_replaced);
        let Some(former) = former.map(|(&former, _)| former) else { return };
        if self.stale_frames_pass {
            self.sessions.get_mut(&former).unwrap().is_replaced = true;
        } else {
            self.goodbye(former, Goodbye::Replaced);
        }
    }

    fn goodbye(&mut self, connection: usize, why: Goodbye) {
        self.remove(connection);
        self.send(connection, &ServerMessage::Goodbye(why));
        self.effects.push(Effect::Close { connection });
    }

    /// Answers whether there was such a session.
    fn remove(&mut self, connection: usize) -> bool {
        let Some(session) = self.sessions.remove(&connection) else { return false };
        self.sequencer.handle_session_ended(session.client, SessionId(connection as u64));
        true
    }

    fn send(&mut self, connection: usize, message: &ServerMessage) {
        self.effects.push(Effect::Send { connection, frame: message.encode() });
    }

    /// Whoever has no session any more has left.
    fn absent_leave(&mut self, now: Timestamp, entropy: u64) {
        let present: Vec<Author> = self.sequencer.present().cloned().collect();
        for author in present {
            if !self.sessions.values().any(|session| session.author == author) {
                self.sequencer.handle_left(author, now, entropy);
            }
        }
    }
}

/// All that a room at rest would go on from.
pub(crate) fn at_rest<M: Machine>(sequencer: &mut Sequencer<M>) -> Snapshot {
    sequencer.take_snapshot();
    (*sequencer.history().base()).clone()
}
