//! Strangers who speak the protocol by hand. They greet with a state that is not the room's, greet again or as somebody else, or do not greet
//! at all. They send very large numbers, in any order; bytes that no build accepts or that are not a message; and the same transition again and
//! again. The replies are compared with the log.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use reapply_sync::limits::COUNT_MAX;
use reapply_sync::{
    Author, Chain, ClientKey, ClientMessage, Digest, Goodbye, HeldSnapshot, Hello, Machine, Number, Outcome, Rejection,
    Resume, Seq, ServerMessage, SnapshotInParts, Start, Welcome,
};

use super::World;
use super::stranger::{STRANGER, Stranger};
use super::task::Task;
use crate::build::number_of;
use crate::network::Connection;
use crate::scenario::{Ask, Scenario};

impl<S: Scenario> World<S> {
    /// Connects a stranger, who sends all that they have, and is gone.
    pub(super) fn stranger(&mut self) {
        if self.is_down {
            return;
        }
        self.coverage.strangers += 1;
        let (author, epoch) = (Author("a stranger".into()), self.auditor.epoch());
        self.connections.push(Connection::new(STRANGER, author, self.host, epoch, &mut self.random));
        let connection = self.connections.len() - 1;
        let key = self.strange_key();
        let stranger = Stranger {
            client: key.client_id(),
            pings: VecDeque::new(),
            submitted: BTreeSet::new(),
            is_bad: false,
            has_begun: false,
            greetings: 0,
            read: None,
            arriving: None,
        };
        self.strangers.insert(connection, stranger);
        let hello = Hello { held: self.false_held(), ..Hello::new(key.clone(), self.false_resume()) };
        let hello = ClientMessage::Hello(hello);
        if self.random.percent(85) {
            self.say(connection, &hello);
        }
        let mut sent = Vec::new();
        for _ in 0..self.random.below(12) {
            let message = self.strange_message(connection, &hello, &mut sent);
            self.say(connection, &message);
            if self.random.percent(4) {
                self.coverage.bad_frames += 1;
                let frame = self.bad_frame(&message.encode());
                self.stranger_mut(connection).is_bad = true;
                self.send_up(connection, frame);
            }
            if self.random.percent(4) {
                // A message of a later version, which must be skipped.
                self.send_up(connection, Bytes::from_static(&[0x7f, 1, 2]));
            }
        }
        self.cut(connection);
    }

    fn strange_key(&mut self) -> ClientKey {
        ClientKey(((u128::from(self.random.bits()) << 64) | 2).to_be_bytes())
    }

    fn stranger_mut(&mut self, connection: usize) -> &mut Stranger {
        self.strangers.get_mut(&connection).expect("a stranger's connection")
    }

    fn strange_message(
        &mut self,
        connection: usize,
        hello: &ClientMessage,
        sent: &mut Vec<ClientMessage>,
    ) -> ClientMessage {
        match self.random.below(11) {
            0 => hello.clone(),
            10 => ClientMessage::Arrived(Digest::of(&self.random.bits().to_be_bytes())),
            1 => ClientMessage::Upgraded(Seq(self.random.below(1_000))),
            2 => ClientMessage::Diverged { seq: Seq(self.random.bits()), ours: None },
            3 => ClientMessage::Signal(self.random.bits().to_be_bytes().to_vec().into()),
            4 => {
                let number = Number(COUNT_MAX - self.random.below(3));
                self.stranger_mut(connection).submitted.insert(number);
                ClientMessage::Submit { number, transition: Bytes::from_static(&[0xff]) }
            }
            5 => ClientMessage::Ping(self.random.bits()),
            6 if self.random.percent(20) && self.strangers[&connection].has_begun => {
                self.coverage.other_greetings += 1;
                let key = self.strange_key();
                ClientMessage::Hello(Hello::new(key, None))
            }
            _ => self.strange_submit(connection, sent),
        }
    }

    /// Returns a new submission, or one that was sent before.
    fn strange_submit(&mut self, connection: usize, sent: &mut Vec<ClientMessage>) -> ClientMessage {
        if !sent.is_empty() && self.random.percent(50) {
            return sent[self.random.index(sent.len())].clone();
        }
        let Some(room) = &self.room else { return ClientMessage::Diverged { seq: Seq(1), ours: None } };
        let mark = number_of(S::NAME, room.room.sequencer().digest());
        let what = self.scenario.act(self.tabs.len(), None, &mut self.random);
        self.nonces += 1;
        let plain = Ask { nonce: self.nonces, what }.encode();
        // Numbers come in any order: one below a decided number is not decided any more.
        let mut number = Number(1 + self.random.below(30));
        while self.strangers[&connection].submitted.contains(&number) {
            number = number.next();
        }
        let transition = [&[mark], &plain[..]].concat().into();
        let epoch = self.auditor.epoch();
        let stranger = self.stranger_mut(connection);
        stranger.submitted.insert(number);
        // Once the session has ended for something that the room must not take, no submission counts.
        if !stranger.is_bad {
            let page = (stranger.client, 0);
            self.auditor.note_applied(page, number, plain, Seq(0), epoch);
        }
        let submit = ClientMessage::Submit { number, transition };
        sent.push(submit.clone());
        submit
    }

    /// Sends a message, and notes the replies that it may bring.
    fn say(&mut self, connection: usize, message: &ClientMessage) {
        let stranger = self.stranger_mut(connection);
        if !std::mem::replace(&mut stranger.has_begun, true) && !matches!(message, ClientMessage::Hello(_)) {
            stranger.is_bad = true;
            self.coverage.bad_beginnings += 1;
        }
        let stranger = self.stranger_mut(connection);
        match message {
            _ if stranger.is_bad => {}
            ClientMessage::Hello(hello) if hello.key.client_id() == stranger.client => stranger.greetings += 1,
            // In this session, nobody may greet as another client.
            ClientMessage::Hello(_) => stranger.is_bad = true,
            ClientMessage::Ping(value) => stranger.pings.push_back(*value),
            _ => {}
        }
        self.send_up(connection, message.encode());
    }

    fn send_up(&mut self, connection: usize, frame: Bytes) {
        if let Some(at) = self.connections[connection].up.arrival(self.now, &mut self.random) {
            self.schedule(at - self.now, Task::Up { connection, frame });
        }
    }

    /// Checks that a stranger receives only answers to their own messages, and the log.
    pub(super) fn check_stranger(&mut self, connection: usize, frame: &[u8]) {
        let epoch = self.connections[connection].epoch;
        let stranger = self.strangers.get_mut(&connection).expect("a stranger's connection");
        match ServerMessage::decode(frame).expect("the room sends only messages") {
            ServerMessage::Welcome(welcome) => self.check_strange_welcome(connection, &welcome),
            ServerMessage::Rejected { number, why } => {
                self.coverage.strangers_rejected += 1;
                assert!(stranger.submitted.contains(&number), "{number} was rejected, and was never asked for");
                // Strangers follow no upgrade, whatever they say.
                if is_of_another_build(&why) {
                    return;
                }
                let client = stranger.client;
                self.auditor.note_repeatable_outcome((client, 0), number, Outcome::Rejected(why), epoch);
            }
            ServerMessage::Pong(value) => assert_eq!(stranger.pings.pop_front(), Some(value), "another pong"),
            ServerMessage::Goodbye(Goodbye::BadMessage(_)) => {
                self.coverage.goodbyes_to_strangers += 1;
                assert!(stranger.is_bad, "the session ended for a bad message, and there was none");
            }
            ServerMessage::Events(events) => {
                let (seq, build) = stranger.read.as_mut().expect("events come after a welcome");
                for event in events {
                    assert_eq!(event.seq, seq.next(), "events do not follow each other");
                    *seq = event.seq;
                    self.coverage.read_by_strangers += 1;
                    *build = self.auditor.check_read(&event, *build, epoch);
                }
            }
            ServerMessage::Checkpoint { seq, .. } => {
                assert_eq!(stranger.read.map(|(seq, _)| seq), Some(seq), "a checkpoint away from its event");
            }
            ServerMessage::Part { at, bytes } => self.check_strange_part(connection, at, &bytes),
            ServerMessage::Signals(_) | ServerMessage::Presence(_) | ServerMessage::Goodbye(_) => {}
        }
    }

    /// Checks a welcome. It must not lead on from a state that is not of this log, and its snapshot must be the state at its seq.
    fn check_strange_welcome(&mut self, connection: usize, welcome: &Welcome) {
        let number = number_of(S::NAME, welcome.digest);
        let stranger = self.stranger_mut(connection);
        assert!(stranger.greetings > 0, "nobody greeted");
        stranger.greetings -= 1;
        stranger.arriving = None;
        let seq = match &welcome.start {
            Start::Tail => panic!("a tail of a past that is not the room's"),
            Start::Snapshot { seq, state_version, state, .. } => {
                self.check_state(connection, number, *seq, *state_version, state);
                *seq
            }
            Start::Parts(snapshot) => {
                stranger.arriving = Some((**snapshot, number, Vec::new()));
                snapshot.seq
            }
        };
        self.stranger_mut(connection).read = Some((seq, number));
    }

    /// Checks a part of a snapshot. Parts come in order, and together they are the state at its seq.
    fn check_strange_part(&mut self, connection: usize, at: u64, part: &[u8]) {
        let stranger = self.stranger_mut(connection);
        let (snapshot, number, received) = stranger.arriving.as_mut().expect("parts come after a welcome");
        assert_eq!(at, snapshot.from + received.len() as u64, "a part is missing");
        received.extend_from_slice(part);
        // The stranger does not have the bytes that they claimed to hold.
        if snapshot.from == 0 && received.len() as u64 == snapshot.bytes {
            let (SnapshotInParts { seq, state_version, hash, .. }, number) = (*snapshot, *number);
            let state = std::mem::take(received);
            assert_eq!(Digest::of(&state), hash, "the parts are not of the snapshot that was announced");
            self.check_state(connection, number, seq, state_version, &state);
        }
    }

    fn check_state(&mut self, connection: usize, build: u8, seq: Seq, state_version: u32, state: &[u8]) {
        let model = self.auditor.model(seq, self.connections[connection].epoch);
        let mut machine = self.journal.sound_build(&self.scenario, build);
        let state = machine.restore(state, state_version).expect("a sound machine restores");
        assert!(S::agrees(model, &state), "the snapshot at {seq} is\n{state:?}\nwhere the log makes it\n{model:?}");
    }

    /// Draws a false claim to hold the beginning of the room's newest snapshot, or of another one.
    fn false_held(&mut self) -> Option<HeldSnapshot> {
        let room = self.room.as_ref()?;
        let newest = room.room.sequencer().history().base().state_hash();
        let hash = if self.random.percent(50) { newest } else { Digest([0; 32]) };
        let bytes = self.random.bits() >> self.random.below(64);
        self.random.percent(50).then_some(HeldSnapshot { hash, bytes })
    }

    /// Draws a false resume: of the right log and build, within the log or not, but of another past.
    fn false_resume(&mut self) -> Option<Resume> {
        let room = self.room.as_ref()?;
        let (log, digest) = (self.journal.genesis.log_id(), room.room.sequencer().digest());
        let seq = Seq(self.random.below(room.room.sequencer().history().head().0 + 3));
        let chain = Chain(Digest::of(&self.random.bits().to_be_bytes()).0);
        self.random.percent(80).then_some(Resume { log, digest, seq, chain })
    }
}

fn is_of_another_build(why: &Rejection) -> bool {
    matches!(why, Rejection::Malformed(why) if why.starts_with("written by another build"))
}
