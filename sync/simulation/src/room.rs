//! The shell of a room in the simulation. It keeps the sessions' places in the history, as a host's socket tasks do. The shipped [`Room`] makes
//! all decisions.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use reapply_sync::message::DecodeError;
use reapply_sync::room::{Entered, Front, Now, Waking};
use reapply_sync::{
    Author, ClientId, ClientMessage, ForgottenClient, Goodbye, Hello, Machine, Number, Room, Sequencer, ServerMessage,
    SessionId, Start, Welcome,
};

use crate::random::Random;
use crate::roster::Roster;

/// Output for connections.
pub(crate) enum Out {
    Send {
        connection: usize,
        frame: Bytes,
    },
    /// Nothing more is received or sent on the connection.
    Close {
        connection: usize,
    },
    /// This slow reader reads again after a while.
    ReadLater {
        connection: usize,
        after: u64,
    },
    /// The session ends itself: it fell too far behind.
    Leave {
        connection: usize,
    },
}

/// One session's place.
struct Reader {
    place: reapply_sync::Reader,
    /// The time that this reader takes between two reads; 0 reads at once.
    slowness: u64,
    is_waiting: bool,
    presence_version: u64,
}

/// The minimum time that a session takes from one portion to the next, if more waits: other things happen in between.
const PORTION_MICROS: u64 = 2_000;

#[derive(Default)]
pub(crate) struct RoomCounts {
    pub(crate) faults: u64,
    pub(crate) alarms_refused: u64,
    pub(crate) fall_backs: u64,
    pub(crate) trimmed: u64,
    pub(crate) tails: u64,
    pub(crate) by_snapshot: u64,
    pub(crate) by_parts: u64,
    pub(crate) by_parts_resumed: u64,
    pub(crate) divergences: u64,
    pub(crate) replaced: u64,
    pub(crate) unreachable: u64,
    pub(crate) full: u64,
}

pub(crate) struct Shell<M: Machine> {
    pub(crate) room: Room<M>,
    front: Front,
    /// Signals that sessions have sent, and that are to be passed to all others.
    pub(crate) signals: Vec<(usize, Bytes)>,
    readers: BTreeMap<usize, Reader>,
    /// The content of welcomes that was not checked yet: the client, its last decided number, and the traces of forgotten clients.
    pub(crate) welcomed: Vec<(ClientId, Number, Option<ForgottenClient>)>,
    /// Connections on which nothing more is received.
    ended: BTreeSet<usize>,
    sessions_max: usize,
    presence: (u64, Bytes),
    pub(crate) roster: Roster,
    pub(crate) out: Vec<Out>,
    pub(crate) counts: RoomCounts,
}

impl<M: Machine> Shell<M> {
    pub(crate) fn new(sequencer: Sequencer<M>, waking: Waking, sessions_max: usize, now: &mut Now<'_>) -> Self {
        Self {
            room: Room::new(sequencer, waking, now),
            front: Front::default(),
            signals: Vec::new(),
            readers: BTreeMap::new(),
            welcomed: Vec::new(),
            ended: BTreeSet::new(),
            sessions_max,
            presence: (0, Bytes::new()),
            roster: Roster::default(),
            out: Vec::new(),
            counts: RoomCounts::default(),
        }
    }

    pub(crate) fn handle_frame(
        &mut self,
        connection: usize,
        author: Author,
        frame: &[u8],
        slowness: u64,
        now: &mut Now<'_>,
    ) {
        let session = SessionId(connection as u64);
        let message = match ClientMessage::decode(frame) {
            Ok(message) => message,
            Err(DecodeError::Skippable { .. }) => return,
            Err(error) => return self.turn_out(connection, error.to_string(), now),
        };
        if !self.readers.contains_key(&connection) && !matches!(message, ClientMessage::Hello(_)) {
            return self.turn_out(connection, "the first message must be Hello".to_owned(), now);
        }
        match message {
            ClientMessage::Hello(hello) => self.hello(connection, &hello, author, slowness, now),
            ClientMessage::Submit { number, transition } => self.room.handle_submit(session, number, transition, now),
            ClientMessage::Upgraded(seq) => self.room.handle_followed(session, seq),
            ClientMessage::Arrived(hash) => {
                if let Some(reader) = self.readers.get(&connection) {
                    reader.place.handle_arrived(self.room.sequencer().history(), hash);
                }
            }
            ClientMessage::Diverged { .. } => self.counts.divergences += 1,
            ClientMessage::Ping(value) => self.send(connection, ServerMessage::Pong(value).encode()),
            ClientMessage::Signal(body) => {
                self.signals.extend(self.front.signal(session, body).map(|frame| (connection, frame)));
            }
        }
    }

    fn hello(&mut self, connection: usize, hello: &Hello, author: Author, slowness: u64, now: &mut Now<'_>) {
        let (session, client) = (SessionId(connection as u64), hello.key.client_id());
        if self.readers.contains_key(&connection) {
            let is_own = self.roster.client_of(connection) == Some(client);
            let is_replaced =
                self.roster.client_of(connection).is_some_and(|own| self.roster.has_later(own, connection));
            // The room may have ended the session, and is about to say so.
            let has_session = self.room.participant(session).is_some();
            let entered = self.room.handle_resync(session, hello, now);
            assert_eq!(entered.is_some(), is_own && has_session, "a second greeting");
            assert!(!has_session || !is_replaced, "a replaced session goes on");
            match entered {
                Some(Entered { welcome, reader: place }) => {
                    self.readers.entry(connection).and_modify(|reader| reader.place = place);
                    self.welcome(connection, client, welcome);
                }
                None if is_own && !is_replaced => {}
                None => self.turn_out(connection, "another client has this session".to_owned(), now),
            }
            return;
        }
        // Opening a connection takes a round trip, so a client's connections open in their order.
        if self.roster.has_later(client, connection) {
            self.close(connection);
            return;
        }
        let is_full = self.roster.is_full_for(client, self.sessions_max);
        match self.room.handle_enter(session, hello, author.clone(), now) {
            Ok(entered) => {
                assert!(!is_full, "a full room took one more");
                self.front.handle_entered(session, author.clone());
                self.roster.note_entered(connection, client, author, now.ticks.0);
                let Entered { welcome, reader: place } = entered;
                self.readers.insert(connection, Reader { place, slowness, is_waiting: false, presence_version: 0 });
                self.welcome(connection, client, welcome);
            }
            Err(goodbye) => {
                let is_broken = self.room.sequencer().is_broken();
                let is_founded = match goodbye {
                    Goodbye::Full(_) => is_full,
                    Goodbye::RoomFailed(_) => is_broken,
                    _ => false,
                };
                assert!(is_founded, "turned away without a cause: {goodbye}");
                self.counts.full += u64::from(is_full);
                self.goodbye(connection, goodbye);
            }
        }
    }

    /// Returns whether the room has ended this connection, and receives nothing more on it.
    pub(crate) fn has_ended(&self, connection: usize) -> bool {
        self.ended.contains(&connection)
    }

    /// Ends the session of somebody who sent a message that the protocol does not allow.
    fn turn_out(&mut self, connection: usize, why: String, now: &mut Now<'_>) {
        self.forget(connection, now.ticks.0);
        self.goodbye(connection, Goodbye::BadMessage(why));
        self.room.handle_leave(SessionId(connection as u64), now);
    }

    fn welcome(&mut self, connection: usize, client: ClientId, welcome: Welcome) {
        self.welcomed.push((client, welcome.decided, welcome.forgotten.as_deref().copied()));
        match welcome.start {
            Start::Tail => self.counts.tails += 1,
            Start::Snapshot { .. } => self.counts.by_snapshot += 1,
            Start::Parts(ref snapshot) if snapshot.from == 0 => self.counts.by_parts += 1,
            Start::Parts(_) => self.counts.by_parts_resumed += 1,
        }
        self.send(connection, ServerMessage::Welcome(welcome).encode());
        self.wake_reader(connection);
    }

    /// Handles that a connection is gone.
    pub(crate) fn handle_closed(&mut self, connection: usize, now: &mut Now<'_>) {
        self.forget(connection, now.ticks.0);
        self.room.handle_leave(SessionId(connection as u64), now);
    }

    /// Sends a frame of the room to one session. With `is_full`, too many frames wait there, so the session is dropped.
    pub(crate) fn handle_send(&mut self, connection: usize, frame: Bytes, is_full: bool, now: &mut Now<'_>) {
        if !is_full {
            self.send(connection, frame);
            return;
        }
        self.counts.unreachable += 1;
        self.forget(connection, now.ticks.0);
        self.goodbye(connection, Goodbye::TooSlow);
        self.room.handle_unreachable(SessionId(connection as u64), now);
    }

    /// Ends a session for the room.
    pub(crate) fn handle_end(&mut self, connection: usize, why: Goodbye, now: u64) {
        // The session may have closed in the same turn.
        if !self.readers.contains_key(&connection) {
            return;
        }
        self.counts.replaced += u64::from(why == Goodbye::Replaced);
        self.forget(connection, now);
        self.goodbye(connection, why);
    }

    pub(crate) fn handle_signal(&mut self, from: usize, frame: &Bytes) {
        for connection in self.readers.keys().copied().filter(|connection| *connection != from).collect::<Vec<_>>() {
            self.send(connection, frame.clone());
        }
    }

    pub(crate) fn handle_presence(&mut self, frame: Bytes) {
        self.roster.note_presence(&frame);
        self.presence = (self.presence.0 + 1, frame);
        self.wake_readers();
    }

    /// Tells all readers that there is more to read.
    pub(crate) fn wake_readers(&mut self) {
        for connection in self.readers.keys().copied().collect::<Vec<_>>() {
            self.wake_reader(connection);
        }
    }

    fn wake_reader(&mut self, connection: usize) {
        let Some(reader) = self.readers.get_mut(&connection).filter(|reader| !reader.is_waiting) else { return };
        if reader.slowness == 0 {
            self.read(connection);
        } else {
            reader.is_waiting = true;
            let after = reader.slowness;
            self.out.push(Out::ReadLater { connection, after });
        }
    }

    pub(crate) fn handle_read(&mut self, connection: usize) {
        if let Some(reader) = self.readers.get_mut(&connection) {
            reader.is_waiting = false;
            self.read(connection);
        }
    }

    /// Sends a session the next portion of the events that it lacks.
    fn read(&mut self, connection: usize) {
        let Some(reader) = self.readers.get_mut(&connection) else { return };
        let (version, presence) = &self.presence;
        if reader.presence_version != *version {
            reader.presence_version = *version;
            self.out.push(Out::Send { connection, frame: presence.clone() });
        }
        match reader.place.read(self.room.sequencer().history()) {
            Ok(None) => {}
            Ok(Some(read)) => {
                if read.has_more {
                    reader.is_waiting = true;
                    let after = reader.slowness.max(PORTION_MICROS);
                    self.out.push(Out::ReadLater { connection, after });
                }
                self.out.extend(read.messages.iter().map(|frame| Out::Send { connection, frame: frame.clone() }));
            }
            Err(_) => {
                self.counts.trimmed += 1;
                self.goodbye(connection, Goodbye::TooSlow);
                self.out.push(Out::Leave { connection });
            }
        }
    }

    fn forget(&mut self, connection: usize, now: u64) {
        self.readers.remove(&connection);
        self.front.handle_ended(SessionId(connection as u64));
        self.roster.note_ended(connection, now);
    }

    fn goodbye(&mut self, connection: usize, why: Goodbye) {
        self.send(connection, ServerMessage::Goodbye(why).encode());
        self.close(connection);
    }

    fn close(&mut self, connection: usize) {
        self.ended.insert(connection);
        self.out.push(Out::Close { connection });
    }

    fn send(&mut self, connection: usize, frame: Bytes) {
        self.out.push(Out::Send { connection, frame });
    }
}

/// Draws the time that a new reader takes between two reads.
pub(crate) fn slowness(random: &mut Random) -> u64 {
    if random.percent(25) { random.below(3_000_000) } else { 0 }
}
