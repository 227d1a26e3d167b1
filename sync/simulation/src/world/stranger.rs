//! Somebody who speaks the protocol by hand: greets with a state that is not the room's, greets again, sends numbers as large as may be,
//! bytes that no build takes, and the same transition again and again.

use bytes::Bytes;
use reapply_sync::limits::COUNT_MAX;
use reapply_sync::{Author, Chain, ClientKey, ClientMessage, Digest, Hello, Number, Resume, Seq, ServerMessage, Start};

use super::World;
use crate::build::number_of;
use crate::network::Connection;
use crate::scenario::{Ask, Scenario};

/// What stands for the client of a stranger's connection.
pub(super) const STRANGER: usize = usize::MAX;

impl<S: Scenario> World<S> {
    /// A stranger connects, sends all that they have, and is gone.
    pub(super) fn stranger(&mut self) {
        if self.is_down {
            return;
        }
        self.coverage.strangers += 1;
        let (author, epoch) = (Author("a stranger".into()), self.auditor.epoch());
        self.connections.push(Connection::new(STRANGER, author, self.host, epoch, &mut self.random));
        let connection = self.connections.len() - 1;
        let key = ClientKey(((u128::from(self.random.bits()) << 64) | 2).to_be_bytes());
        let hello = ClientMessage::Hello(Hello::new(key.clone(), self.false_resume()));
        self.send_up(connection, &hello);
        let mut sent = Vec::new();
        for _ in 0..self.random.below(12) {
            let message = match self.random.below(8) {
                0 => hello.clone(),
                1 => ClientMessage::Upgraded(Seq(self.random.below(1_000))),
                2 => ClientMessage::Diverged { seq: Seq(self.random.bits()), ours: None },
                3 => ClientMessage::Signal(vec![0; self.random.index(1_000)].into()),
                4 => {
                    let number = Number(COUNT_MAX - self.random.below(3));
                    ClientMessage::Submit { number, transition: Bytes::from_static(&[0xff]) }
                }
                _ => self.stranger_submits(&key, &mut sent),
            };
            self.send_up(connection, &message);
        }
        self.cut(connection);
    }

    /// What comes to a stranger is a message, and never a tail: they have no state of this log.
    pub(super) fn check_stranger(&mut self, frame: &[u8]) {
        match ServerMessage::decode(frame).expect("the room sends only messages") {
            ServerMessage::Welcome(welcome) => {
                assert_ne!(welcome.start, Start::Tail, "of a past that is not the room's")
            }
            ServerMessage::Rejected { .. } => self.coverage.strangers_rejected += 1,
            _ => {}
        }
    }

    /// Of the right log and build, within it or not, and of another past.
    fn false_resume(&mut self) -> Option<Resume> {
        let room = self.room.as_ref()?;
        let (log, digest) = (self.journal.genesis.log_id(), room.room.sequencer().digest());
        let seq = Seq(self.random.below(room.room.sequencer().history().head().0 + 3));
        let chain = Chain(Digest::of(&self.random.bits().to_be_bytes()).0);
        self.random.percent(80).then_some(Resume { log, digest, seq, chain })
    }

    /// Something new, or once more what was sent before.
    fn stranger_submits(&mut self, key: &ClientKey, sent: &mut Vec<ClientMessage>) -> ClientMessage {
        if !sent.is_empty() && self.random.percent(50) {
            return sent[self.random.index(sent.len())].clone();
        }
        let Some(room) = &self.room else { return ClientMessage::Ping(1) };
        let mark = number_of(S::NAME, room.room.sequencer().digest());
        let what = self.scenario.act(self.clients.len(), None, &mut self.random);
        self.nonces += 1;
        let plain = Ask { nonce: self.nonces, what }.encode();
        let (number, transition) = (Number(1 + sent.len() as u64), [&[mark], &plain[..]].concat().into());
        self.auditor.note_applied((key.client_id(), 0), number, plain, Seq(0), self.auditor.epoch());
        let submit = ClientMessage::Submit { number, transition };
        sent.push(submit.clone());
        submit
    }

    fn send_up(&mut self, connection: usize, message: &ClientMessage) {
        if let Some(at) = self.connections[connection].up.arrival(self.now, &mut self.random) {
            self.schedule(at - self.now, super::Task::Up { connection, frame: message.encode() });
        }
    }
}
