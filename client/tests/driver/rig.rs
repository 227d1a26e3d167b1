//! A driver, a store that a test answers for, and a room at the other end of a connection that a test cuts.

use std::collections::BTreeMap;

use bytes::Bytes;
use reapply_client_core::*;
use reapply_sync::room::{Now, Ticks};
use reapply_sync::*;

pub(crate) const SECOND: u64 = 1_000_000;

/// A machine that adds up numbers, in decimal. It refuses to go above 100.
pub(crate) struct Sum;

impl Machine for Sum {
    type State = u64;

    fn create(&mut self, _options: &str) -> Result<u64, LoadError> {
        Ok(0)
    }
    fn restore(&mut self, snapshot: &[u8], _state_version: u32) -> Result<u64, LoadError> {
        Ok(u64::from_le_bytes(snapshot.try_into().unwrap()))
    }
    fn apply(&mut self, state: &u64, event: &Event) -> Result<u64, ApplyError> {
        let Input::Transition { transition, .. } = &event.input else { return Ok(*state) };
        let sum = state + std::str::from_utf8(transition).unwrap().parse::<u64>().unwrap();
        if sum > 100 { Err(Refusal::Conflict("\"TooMuch\"".into()).into()) } else { Ok(sum) }
    }
    fn snapshot(&mut self, state: &u64) -> Result<Bytes, Fault> {
        Ok(state.to_le_bytes().to_vec().into())
    }
    fn alarm(&mut self, _state: &u64) -> Result<Option<Alarm>, Fault> {
        Ok(None)
    }
    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        match json.parse::<u64>() {
            Ok(_) => Ok(json.to_owned().into()),
            Err(error) => Err(CodecError::Refused(error.to_string())),
        }
    }
    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        Ok(String::from_utf8(transition.to_vec()).unwrap())
    }
    fn state_version(&self) -> u32 {
        1
    }
    fn membership(&self) -> bool {
        false
    }
    fn reset(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// The entries of one client in a store.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) reserved: u64,
    pub(crate) entries: BTreeMap<u64, Entry>,
}

impl Stored {
    pub(crate) fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put(entry) => drop(self.entries.insert(entry.order, entry.clone())),
                Change::Delete(order) => drop(self.entries.remove(order)),
                Change::Reserve(last) => self.reserved = *last,
            }
        }
    }

    pub(crate) fn left(&self) -> Left {
        Left { reserved: self.reserved, entries: self.entries.values().cloned().collect() }
    }
}

pub(crate) struct Rig {
    pub(crate) driver: Driver<Sum>,
    pub(crate) key: ClientKey,
    room: Sequencer<Sum>,
    place: Seq,
    sessions: u64,
    pub(crate) now: u64,
    /// The random bits that are drawn.
    pub(crate) bits: u64,
    pub(crate) stored: Stored,
    /// The result that writes get at once; `None` if tests answer them.
    pub(crate) answers: Option<Written>,
    pub(crate) unanswered: Vec<(WriteId, Vec<Change>)>,
    pub(crate) connection: Option<ConnectionId>,
    /// Frames that were sent and that the room has not received.
    pub(crate) sent: Vec<Bytes>,
    /// Everything else that the driver has asked for, in short.
    pub(crate) told: Vec<String>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Role::Participant)
    }

    pub(crate) fn with(role: Role) -> Self {
        let room_id = RoomId { machine: "sum".parse().unwrap(), room: "lobby".parse().unwrap() };
        let genesis = Genesis { room: room_id, digest: digest(), options: String::new(), time: Timestamp(0), nonce: 7 };
        let room = Sequencer::open(|_| Ok(Sum), genesis.log_id(), genesis, None, []).unwrap();
        let mut rig = Self {
            driver: Driver::new(role, Backoff::default(), &mut at(0, &mut || 0)),
            key: ClientKey([1; 16]),
            room,
            place: Seq(0),
            sessions: 0,
            now: 0,
            bits: u64::MAX,
            stored: Stored::default(),
            answers: Some(Written::Yes),
            unanswered: Vec::new(),
            connection: None,
            sent: Vec::new(),
            told: Vec::new(),
        };
        rig.pump();
        rig
    }

    /// Ends the page and begins another one, with the entries in the store.
    pub(crate) fn reload(&mut self) {
        self.load();
        self.identify(Store::Open);
    }

    /// Ends the page and begins another one, which does not know yet who it is.
    pub(crate) fn load(&mut self) {
        let bits = self.bits;
        self.driver = Driver::new(Role::Participant, Backoff::default(), &mut at(self.now, &mut || bits));
        (self.sent, self.unanswered, self.connection) = (Vec::new(), Vec::new(), None);
        self.pump();
    }

    pub(crate) fn call<T>(&mut self, f: impl FnOnce(&mut Driver<Sum>, &mut Now<'_>) -> T) -> T {
        let bits = self.bits;
        let result = f(&mut self.driver, &mut at(self.now, &mut || bits));
        self.pump();
        result
    }

    pub(crate) fn identify(&mut self, store: Store) {
        let left = Some(if store == Store::Open { self.stored.left() } else { Left::default() });
        let identity = Identity { key: self.key.clone(), is_given: false, is_own: true, store, left };
        self.call(|driver, now| driver.handle_identity(identity, now));
    }

    /// Opens the connection that was asked for.
    pub(crate) fn open(&mut self) {
        let connection = self.connection.expect("a connection is asked for");
        self.call(|driver, now| driver.handle_opened(connection, now));
    }

    /// Breaks the connection.
    pub(crate) fn cut(&mut self) {
        let connection = self.connection.expect("there is a connection");
        self.sent.clear();
        self.call(|driver, now| driver.handle_lost(connection, None, now));
    }

    /// Advances to the next moment that the driver waits for.
    pub(crate) fn wait(&mut self) {
        self.now = self.driver.wake_at().expect("it waits for something").0;
        self.call(|driver, now| driver.handle_timer(now));
    }

    pub(crate) fn apply(&mut self, number: u64) -> Ticket {
        self.call(|driver, now| driver.apply(&number.to_string(), now)).unwrap()
    }

    pub(crate) fn live(store: Store) -> Self {
        let mut rig = Self::new();
        rig.identify(store);
        rig.open();
        rig.converse();
        assert_eq!(rig.driver.status(), Status::Live);
        rig.told.clear();
        rig
    }

    /// Passes frames between the driver and the room until neither sends any more.
    pub(crate) fn converse(&mut self) {
        while !self.sent.is_empty() {
            let mut down = Vec::new();
            for frame in std::mem::take(&mut self.sent) {
                self.handle_up(&frame, &mut down);
            }
            while self.room.poll_batch().is_some() {
                self.room.handle_appended();
            }
            while let Some(read) = self.room.history().read(self.place).unwrap() {
                down.extend(read.messages.iter().cloned());
                self.place = read.upto;
            }
            let rejected = std::iter::from_fn(|| self.room.poll_rejected());
            let rejected = rejected.map(|told| ServerMessage::Rejected { number: told.number, why: told.why }.encode());
            down.extend(rejected.collect::<Vec<_>>());
            for frame in down {
                self.receive(&frame);
            }
        }
    }

    /// Passes the sent frames to the room. Returns the room's answers, which the driver has not received yet.
    pub(crate) fn answers_of_room(&mut self) -> Vec<Bytes> {
        let mut down = Vec::new();
        for frame in std::mem::take(&mut self.sent) {
            self.handle_up(&frame, &mut down);
        }
        down
    }

    pub(crate) fn receive(&mut self, frame: &[u8]) {
        let connection = self.connection.expect("there is a connection");
        self.call(|driver, now| driver.handle_frame(connection, frame, now));
    }

    pub(crate) fn goodbye(&mut self, goodbye: Goodbye) {
        self.receive(&ServerMessage::Goodbye(goodbye).encode());
    }

    /// Returns the state that the page shows, and the one that the room has confirmed.
    pub(crate) fn states(&mut self) -> (u64, u64) {
        let optimistic = *self.driver.optimistic().unwrap().1;
        (optimistic, *self.driver.confirmed().unwrap().1)
    }

    pub(crate) fn last_number(&self) -> Option<Number> {
        self.driver.undecided().last().map(|(number, _)| number)
    }

    /// Returns the numbers that were sent and that the room has not received.
    pub(crate) fn submitted(&self) -> Vec<u64> {
        let messages = self.sent.iter().map(|frame| ClientMessage::decode(frame).unwrap());
        let submitted = messages.filter_map(|message| match message {
            ClientMessage::Submit { number, .. } => Some(number.0),
            _ => None,
        });
        submitted.collect()
    }

    pub(crate) fn answer(&mut self, written: Written) {
        let (write, changes) = self.unanswered.remove(0);
        if written == Written::Yes {
            self.stored.apply(&changes);
        }
        self.call(|driver, now| driver.handle_written(write, written, now));
    }

    fn handle_up(&mut self, frame: &Bytes, down: &mut Vec<Bytes>) {
        let (client, author) = (self.key.client_id(), self.key.client_id().anonymous_author());
        let time = Timestamp(self.now + 1_000_000_000);
        match ClientMessage::decode(frame).unwrap() {
            ClientMessage::Hello(hello) => {
                self.sessions += 1;
                let (welcome, reader) = self.room.welcome(&hello, SessionId(self.sessions), author, time);
                self.place = reader.after();
                down.push(ServerMessage::Welcome(welcome).encode());
            }
            ClientMessage::Submit { number, transition } => {
                let upgraded = self.room.upgraded();
                self.room.handle_submit(Submit { author, client, number, upgraded, transition }, time, 5);
            }
            ClientMessage::Ping(value) => down.push(ServerMessage::Pong(value).encode()),
            _ => {}
        }
    }

    fn pump(&mut self) {
        loop {
            let bits = self.bits;
            let Some(effect) = self.driver.poll_effect(&mut at(self.now, &mut || bits)) else { break };
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Connect(connection) => {
                assert!(self.connection.replace(connection).is_none_or(|former| former < connection));
            }
            Effect::Disconnect(connection) => {
                assert_eq!(self.connection, Some(connection));
                self.sent.clear();
            }
            Effect::Send { connection, frame } => {
                assert_eq!(self.connection, Some(connection));
                self.sent.push(frame);
            }
            Effect::Load(digest) => self.driver.handle_machine(digest, Sum),
            Effect::Write { write, changes } => match self.answers {
                None => self.unanswered.push((write, changes)),
                Some(written) => {
                    if written == Written::Yes {
                        self.stored.apply(&changes);
                    }
                    let bits = self.bits;
                    self.driver.handle_written(write, written, &mut at(self.now, &mut || bits));
                }
            },
            Effect::OpenStore => self.told.push("open the store".into()),
            Effect::Decided { ticket, decision } => self.told.push(format!("{} {}", ticket.0, short(&decision))),
            Effect::Returned { returned, decision, .. } => {
                self.told.push(format!("returned {} {}", returned.json, short(&decision)));
            }
            Effect::Signal(_) => self.told.push("signal".into()),
            Effect::Joined => self.told.push("joined".into()),
            Effect::FindOrphan => self.told.push("find an orphan".into()),
            Effect::Diverged(divergence) => panic!("{divergence}"),
            Effect::Report(why) => self.told.push(format!("report {why}")),
            Effect::Closed { why } => self.told.push(format!("closed: {why}")),
        }
    }
}

fn short(decision: &Decision) -> String {
    match decision {
        Decision::Decided(number, Outcome::Accepted { seq, .. }) => format!("accepted as {number} at {seq}"),
        Decision::Decided(number, outcome) => format!("{number} {outcome:?}"),
        Decision::Refused(refusal) => format!("refused: {}", refusal.kind()),
    }
}

pub(crate) fn digest() -> Digest {
    Digest::of(b"sum")
}

/// Returns a moment, by a clock that shows one hour more than the ticks.
pub(crate) fn at(ticks: u64, entropy: &mut dyn FnMut() -> u64) -> Now<'_> {
    Now { ticks: Ticks(ticks), time: Timestamp(ticks + 3_600 * SECOND), entropy }
}
