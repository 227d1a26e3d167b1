//! One seeded run: clients, connections, a host that crashes, and a clock that only the simulation moves.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::{Author, ClientKey, Digest, Number, Phase, Rejection, Replica, Snapshot, SubmitError, Timestamp};

use crate::auditor::Auditor;
use crate::coverage::Coverage;
use crate::machine::{Ask, Native, Place, What};
use crate::network::Connection;
use crate::random::Random;
use crate::room::{Effect, Journal, Room, at_rest};

/// What happens at some moment.
enum Task {
    Up { connection: usize, frame: Bytes },
    Down { connection: usize, frame: Bytes },
    UpClosed { connection: usize },
    DownClosed { connection: usize },
    Appended { host: u64, is_stored: bool },
    SnapshotStored(Arc<Snapshot>),
    Read { host: u64, connection: usize },
    Alarm { host: u64 },
    Restart,
    Act { client: usize },
    Connect { client: usize, page: u64 },
    MachineLoaded { client: usize, page: u64, digest: Digest },
    Mischief,
}

struct Client {
    key: ClientKey,
    author: Author,
    replica: Replica<Native>,
    /// How often the page has been loaded before.
    page: u64,
    connection: Option<usize>,
    is_connecting: bool,
    is_loading: bool,
    is_corrupted: bool,
}

pub(crate) struct World {
    random: Random,
    now: u64,
    tasks: BTreeMap<(u64, u64), Task>,
    tasks_made: u64,
    journal: Journal,
    auditor: Auditor,
    room: Option<Room>,
    in_flight: Option<Arc<reapply_sync::Batch>>,
    /// How often the host has started.
    host: u64,
    alarm_scheduled: Option<u64>,
    clients: Vec<Client>,
    connections: Vec<Connection>,
    nonces: u64,
    is_calm: bool,
    stale_frames_pass: bool,
    append_failures_percent: u64,
    pads_percent: u64,
    coverage: Coverage,
}

/// Runs one seed, and panics where anything is wrong.
pub(crate) fn run(seed: u64) -> Coverage {
    let mut world = World::new(seed);
    world.run_until_quiet();
    world.calm_down();
    world.run_until_quiet();
    world.checkpoint();
    world.run_until_quiet();
    world.check_end();
    world.coverage.alarms = world.auditor.alarms() as u64;
    world.coverage.left = world.auditor.left() as u64;
    world.coverage.outcomes = world.auditor.counts;
    let last_room = world.room.map(|room| room.counts).unwrap_or_default();
    world.coverage.room.add(&last_room);
    world.coverage
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let membership = random.percent(50);
        let journal = Journal::new(membership, random.bits());
        let mut world = Self {
            now: 1_000_000,
            tasks: BTreeMap::new(),
            tasks_made: 0,
            auditor: Auditor::new(),
            room: None,
            in_flight: None,
            host: 0,
            alarm_scheduled: None,
            clients: Vec::new(),
            connections: Vec::new(),
            nonces: 0,
            is_calm: false,
            stale_frames_pass: random.percent(50),
            append_failures_percent: if random.percent(50) { 0 } else { random.below(30) },
            pads_percent: if random.percent(50) { 5 } else { 60 },
            coverage: Coverage::default(),
            journal,
            random,
        };
        world.start_host();
        let clients = 1 + world.random.index(8);
        for index in 0..clients {
            let key = ClientKey([index as u8; 16]);
            // Some participants have two clients.
            let author = Author(format!("participant {}", index % 5).into());
            let replica = Replica::new(key.clone(), Number(0));
            let (page, connection, is_connecting) = (0, None, false);
            world.clients.push(Client {
                key,
                author,
                replica,
                page,
                connection,
                is_connecting,
                is_loading: false,
                is_corrupted: false,
            });
            world.connect_later(index);
        }
        let acts = 1 + world.random.below(120);
        for _ in 0..acts {
            let (client, after) = (world.random.index(clients), world.random.below(20_000_000));
            world.schedule(after, Task::Act { client });
        }
        for _ in 0..world.random.below(12) {
            let after = world.random.below(20_000_000);
            world.schedule(after, Task::Mischief);
        }
        world
    }

    fn schedule(&mut self, after: u64, task: Task) {
        self.tasks_made += 1;
        self.tasks.insert((self.now + after, self.tasks_made), task);
    }

    fn run_until_quiet(&mut self) {
        let tasks_max = self.tasks_made + 200_000;
        while let Some(((time, _), task)) = self.tasks.pop_first() {
            assert!(self.tasks_made < tasks_max, "the run does not come to rest");
            self.now = time;
            self.perform(task);
        }
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Up { connection, frame } => self.frame_up(connection, &frame),
            Task::Down { connection, frame } => self.frame_down(connection, &frame),
            Task::UpClosed { connection } => {
                if self.connections[connection].host == self.host
                    && let Some(room) = &mut self.room
                {
                    room.handle_closed(connection, Timestamp(self.now), self.random.bits());
                }
                self.pump_room();
            }
            Task::DownClosed { connection } => self.client_closed(connection),
            Task::Appended { host, is_stored } if host == self.host => self.appended(is_stored),
            Task::SnapshotStored(snapshot) => self.journal.snapshots.push(snapshot),
            Task::Read { host, connection } if host == self.host => {
                if let Some(room) = &mut self.room {
                    room.handle_read(connection, Timestamp(self.now), self.random.bits());
                }
                self.pump_room();
            }
            Task::Alarm { host } if host == self.host => {
                self.alarm_scheduled = None;
                if let Some(room) = &mut self.room {
                    room.sequencer.handle_alarm(Timestamp(self.now), self.random.bits());
                }
                self.pump_room();
            }
            Task::Appended { .. } | Task::Read { .. } | Task::Alarm { .. } => {}
            Task::Restart => self.start_host(),
            Task::Act { client } => self.act(client),
            Task::Connect { client, page } => self.connect(client, page),
            Task::MachineLoaded { client, page, digest } => {
                if self.clients[client].page == page {
                    self.clients[client].is_loading = false;
                    let machine = Native::new(Place::Replica, true);
                    self.clients[client].replica.handle_machine(digest, machine);
                    self.flush(client);
                }
            }
            Task::Mischief => self.mischief(),
        }
    }

    // The host.

    fn start_host(&mut self) {
        if self.room.is_some() {
            return;
        }
        self.host += 1;
        let snapshots = &self.journal.snapshots;
        // Snapshots are a convenience: an old one must do, and so must none.
        let snapshot = match self.random.below(4) {
            0 => None,
            1 if !snapshots.is_empty() => Some(Arc::clone(&snapshots[self.random.index(snapshots.len())])),
            _ => snapshots.iter().max_by_key(|snapshot| snapshot.seq).cloned(),
        };
        let sequencer = self.journal.open(snapshot.as_deref());
        let (now, entropy) = (Timestamp(self.now), self.random.bits());
        self.room = Some(Room::new(sequencer, self.stale_frames_pass, now, entropy));
        self.alarm_scheduled = None;
        self.pump_room();
    }

    /// The process is gone, and with it all that was not durable. What was with the journal may have become so.
    fn crash_host(&mut self) {
        let Some(room) = self.room.take() else { return };
        self.coverage.restarts += 1;
        self.coverage.room.add(&room.counts);
        if let Some(batch) = self.in_flight.take()
            && self.random.percent(50)
        {
            self.journal.store(&batch);
            self.auditor.note_durable(&batch);
        }
        for connection in 0..self.connections.len() {
            if self.connections[connection].host == self.host {
                self.cut(connection);
            }
        }
        let after = self.random.below(3_000_000);
        self.schedule(after, Task::Restart);
    }

    fn appended(&mut self, is_stored: bool) {
        let Some(batch) = self.in_flight.take() else { return };
        let Some(room) = &mut self.room else { return };
        if is_stored {
            self.journal.store(&batch);
            self.auditor.note_durable(&batch);
            room.handle_appended();
        } else {
            room.handle_append_failed(Timestamp(self.now), self.random.bits());
        }
        self.pump_room();
    }

    fn frame_up(&mut self, connection: usize, frame: &[u8]) {
        let Connection { host, author, up, .. } = &self.connections[connection];
        if *host != self.host || !up.is_open(self.now) {
            return;
        }
        let Some(room) = &mut self.room else { return };
        room.handle_frame(connection, author.clone(), frame, &mut self.random, Timestamp(self.now));
        // The owner may take in all that waits before it pumps.
        if self.random.percent(70) || self.is_calm {
            self.pump_room();
        }
    }

    fn pump_room(&mut self) {
        loop {
            let Some(room) = &mut self.room else { return };
            room.pump(Timestamp(self.now), self.random.bits());
            let effects = std::mem::take(&mut room.effects);
            if effects.is_empty() {
                break;
            }
            effects.into_iter().for_each(|effect| self.effect(effect));
        }
        let Some(room) = &mut self.room else { return };
        let alarm_at = room.sequencer.alarm_at().map(|at| at.0.max(self.now));
        if let Some(at) = alarm_at
            && self.alarm_scheduled.is_none_or(|scheduled| at < scheduled)
        {
            self.alarm_scheduled = Some(at);
            self.schedule(at - self.now, Task::Alarm { host: self.host });
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Send { connection, frame } => {
                if let Some(at) = self.connections[connection].down.arrival(self.now, &mut self.random) {
                    self.schedule(at - self.now, Task::Down { connection, frame });
                }
            }
            Effect::Close { connection } => {
                if let Some(at) = self.connections[connection].down.arrival(self.now, &mut self.random) {
                    self.schedule(at - self.now, Task::DownClosed { connection });
                }
            }
            Effect::Append(batch) => {
                assert_eq!(batch.expected.0, self.auditor.head(), "the journal refuses: another head");
                assert!(self.in_flight.replace(batch).is_none(), "two batches at once");
                let is_stored = self.is_calm || !self.random.percent(self.append_failures_percent);
                let after = self.random.below(300_000);
                self.schedule(after, Task::Appended { host: self.host, is_stored });
            }
            Effect::StoreSnapshot(snapshot) => {
                self.coverage.snapshots += 1;
                if self.random.percent(70) {
                    let after = self.random.below(500_000);
                    self.schedule(after, Task::SnapshotStored(snapshot));
                }
            }
            Effect::ReadLater { connection, after } => {
                self.schedule(after, Task::Read { host: self.host, connection });
            }
        }
    }

    // The clients.

    fn connect_later(&mut self, client: usize) {
        if self.clients[client].is_connecting {
            return;
        }
        self.clients[client].is_connecting = true;
        let wait_max = if self.random.percent(50) { 20_000 } else { 2_000_000 };
        let (after, page) = (self.random.below(wait_max), self.clients[client].page);
        self.schedule(after, Task::Connect { client, page });
    }

    fn connect(&mut self, index: usize, page: u64) {
        if self.clients[index].page != page {
            return;
        }
        self.clients[index].is_connecting = false;
        if self.room.is_none() {
            self.connect_later(index);
            return;
        }
        let author = self.clients[index].author.clone();
        self.connections.push(Connection::new(index, author, self.host, &mut self.random));
        self.clients[index].connection = Some(self.connections.len() - 1);
        self.clients[index].replica.handle_connected();
        self.flush(index);
    }

    fn frame_down(&mut self, connection: usize, frame: &[u8]) {
        let index = self.connections[connection].client;
        let is_open = self.connections[connection].down.is_open(self.now);
        if self.clients[index].connection != Some(connection) || !is_open {
            return;
        }
        self.clients[index].replica.handle_frame(frame).expect("the room sends only messages");
        self.flush(index);
    }

    /// The client learns that a connection is gone.
    fn client_closed(&mut self, connection: usize) {
        let index = self.connections[connection].client;
        let client = &mut self.clients[index];
        if client.connection == Some(connection) {
            client.connection = None;
            client.replica.handle_disconnected();
            self.flush(index);
            self.connect_later(index);
        }
    }

    /// Cuts a connection: each end learns of it in its own time, and what is under way beyond that is lost.
    fn cut(&mut self, connection: usize) {
        let up_at = self.connections[connection].up.cut(self.now, &mut self.random);
        let down_at = self.connections[connection].down.cut(self.now, &mut self.random);
        self.schedule(up_at.saturating_sub(self.now), Task::UpClosed { connection });
        self.schedule(down_at.saturating_sub(self.now), Task::DownClosed { connection });
    }

    /// Does what a driver does after it has handed something in.
    fn flush(&mut self, index: usize) {
        if self.random.percent(70) || self.is_calm {
            self.clients[index].replica.settle();
        }
        let page = self.page(index);
        while let Some((number, outcome)) = self.clients[index].replica.poll_outcome() {
            self.auditor.note_outcome(page, number, outcome);
        }
        while self.clients[index].replica.poll_divergence().is_some() {
            self.coverage.divergences += 1;
            assert!(self.clients[index].is_corrupted, "a sound replica diverged");
        }
        while let Some(frame) = self.clients[index].replica.poll_transmit() {
            let Some(connection) = self.clients[index].connection else { continue };
            if let Some(at) = self.connections[connection].up.arrival(self.now, &mut self.random) {
                self.schedule(at - self.now, Task::Up { connection, frame });
            }
        }
        if let Some(goodbye) = self.clients[index].replica.goodbye()
            && let Some(connection) = self.clients[index].connection
        {
            assert!(goodbye.retry(), "{goodbye}");
            self.cut(connection);
            self.client_closed(connection);
            return;
        }
        let client = &mut self.clients[index];
        if let Some(digest) = client.replica.needs_machine()
            && !client.is_loading
        {
            client.is_loading = true;
            let page = client.page;
            let after = self.random.below(500_000);
            self.schedule(after, Task::MachineLoaded { client: index, page, digest });
        }
        self.check_client(index);
    }

    fn page(&self, index: usize) -> (reapply_sync::ClientId, u64) {
        (self.clients[index].key.client_id(), self.clients[index].page)
    }

    fn check_client(&mut self, index: usize) {
        let undecided = self.auditor.undecided(self.page(index));
        let client = &mut self.clients[index];
        assert_eq!(client.replica.pending(), undecided, "pending is not what has no outcome");
        let Some((seq, _)) = client.replica.confirmed_at() else { return };
        let Some((_, state)) = client.replica.confirmed() else { return };
        if self.auditor.agrees(seq.0, &state.book.borrow()) {
            client.is_corrupted = false;
        } else {
            assert!(client.is_corrupted, "the confirmed state at {seq} is not the log's");
        }
    }

    fn act(&mut self, index: usize) {
        self.nonces += 1;
        let ask = Ask { nonce: self.nonces, what: self.what() };
        self.apply(index, &ask);
    }

    fn apply(&mut self, index: usize, ask: &Ask) {
        let transition = ask.encode();
        // A client's clock is its own.
        let clock = Timestamp(self.random.below(self.now * 2));
        let page = self.page(index);
        match self.clients[index].replica.apply(transition.clone(), clock, self.random.bits()) {
            Ok(number) => self.auditor.note_applied(page, number, transition),
            Err(SubmitError::Rejected(Rejection::Trapped(_))) => self.coverage.local_traps += 1,
            Err(SubmitError::Rejected(_) | SubmitError::NotReady) => {}
            Err(error) => panic!("{error}"),
        }
        self.flush(index);
    }

    fn what(&mut self) -> What {
        let random = &mut self.random;
        if random.percent(self.pads_percent) {
            return What::Pad(vec![7; 8_000].into());
        }
        match random.below(20) {
            0..4 => What::Append,
            4..7 => What::Earn(random.below(4)),
            7..10 => What::Spend(random.below(4)),
            10..14 => {
                // A guess at what stands there, so that replicas predict success and lose races.
                let (key, expected, value) = (random.below(2) as u8, random.below(2), random.below(2));
                What::Swap { key, expected, value }
            }
            14..16 => What::Roll,
            16 => What::Ring { after: random.below(2_000_000), times: random.below(4) as u8 },
            17 => What::Trap,
            18 => What::TrapIfOdd,
            _ => What::Exhaust,
        }
    }

    // Trouble.

    fn mischief(&mut self) {
        let index = self.random.index(self.clients.len());
        match self.random.below(10) {
            0..5 => {
                if let Some(connection) = self.clients[index].connection {
                    self.cut(connection);
                }
            }
            5..7 => self.crash_host(),
            7 => self.corrupt(index),
            _ if !self.stale_frames_pass => self.reload(index),
            _ => {}
        }
    }

    /// The page is loaded anew: only the client's key is left of it.
    fn reload(&mut self, index: usize) {
        self.coverage.reloads += 1;
        if let Some(connection) = self.clients[index].connection.take() {
            self.cut(connection);
        }
        let client = &mut self.clients[index];
        client.page += 1;
        client.replica = Replica::new(client.key.clone(), Number(0));
        (client.is_connecting, client.is_loading, client.is_corrupted) = (false, false, false);
        self.connect_later(index);
    }

    /// Flips something in a replica's confirmed state, as a bug of the machine or of its engine would.
    fn corrupt(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some((_, state)) = client.replica.confirmed() else { return };
        state.book.borrow_mut().counter ^= 1 << 20;
        client.is_corrupted = true;
        self.coverage.corruptions += 1;
    }

    // The end.

    /// From here on nothing fails any more.
    fn calm_down(&mut self) {
        self.is_calm = true;
        self.start_host();
        self.pump_room();
        for index in 0..self.clients.len() {
            self.flush(index);
        }
    }

    /// Makes the log grow until everyone has seen a checkpoint.
    fn checkpoint(&mut self) {
        let replica = &self.clients[0].replica;
        assert_eq!((replica.phase(), replica.goodbye()), (Phase::Live, None), "client 0 is not live");
        let snapshots = self.coverage.snapshots;
        while self.coverage.snapshots == snapshots {
            self.nonces += 1;
            let ask = Ask { nonce: self.nonces, what: What::Pad(vec![7; 30_000].into()) };
            self.apply(0, &ask);
            self.run_until_quiet();
        }
    }

    fn check_end(&mut self) {
        self.auditor.check_log(self.coverage.restarts > 0);
        for index in 0..self.clients.len() {
            let page = self.page(index);
            let undecided = self.auditor.undecided(page);
            let replica = &mut self.clients[index].replica;
            assert_eq!(replica.phase(), Phase::Live, "client {index} is not live");
            assert_eq!((replica.pending(), undecided), (0, 0), "client {index} still waits");
            assert_eq!(replica.confirmed_at().map(|(seq, _)| seq.0), Some(self.auditor.head()));
            let confirmed = replica.confirmed().unwrap().1.book.borrow().clone();
            let optimistic = replica.optimistic().unwrap().1.book.borrow().clone();
            assert_eq!(&confirmed, self.auditor.newest(), "client {index} ends elsewhere");
            assert_eq!(confirmed, optimistic, "client {index} shows what is not there");
        }
        let from_genesis = at_rest(&mut self.journal.open(None));
        for snapshot in &self.journal.snapshots {
            let reopened = at_rest(&mut self.journal.open(Some(snapshot)));
            assert_eq!(reopened, from_genesis, "reopened from {} the room is another", snapshot.seq);
        }
        let room = self.room.as_mut().expect("the host is up");
        assert!(room.sequencer.is_settled() && !room.sequencer.is_broken());
        assert_eq!(at_rest(&mut room.sequencer), from_genesis, "the living room is not its log");
    }
}
