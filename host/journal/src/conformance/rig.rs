//! The tools of the rules: a writer of one room's log, and a reader that proves the log.

use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::room::Note;
use reapply_sync::{Author, Chain, ClientId, Digest, Event, Genesis, Input, Number, RoomId, Seq, Snapshot, Timestamp};

use crate::{Appended, Appending, Base, BatchId, Journal, NewRoom, Record};

/// A writer of one room's log, in place of a sequencer.
#[derive(Clone, Debug)]
pub struct LogWriter {
    /// The room.
    pub genesis: Genesis,
    /// The last event made so far.
    pub head: Seq,
    /// The chain after it.
    pub chain: Chain,
    /// The build after it.
    pub digest: Digest,
}

impl LogWriter {
    /// Begins the log of `machine/room`.
    #[must_use]
    pub fn new(machine: &str, room: &str) -> Self {
        let room = RoomId { machine: machine.parse().unwrap(), room: room.parse().unwrap() };
        let time = Timestamp(1_000);
        let genesis = Genesis { room, digest: Digest::of(b"build"), options: "{}".to_owned(), time, nonce: 7 };
        Self { head: Seq(0), chain: genesis.chain(), digest: genesis.digest, genesis }
    }

    /// Returns the room.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        &self.genesis.room
    }

    /// Returns the record of the next `count` events.
    pub fn next(&mut self, count: u64) -> Record {
        let input = |seq: Seq| Input::Alarm(seq.0.to_le_bytes().repeat(3).into());
        self.record((self.head.0..self.head.0 + count).map(|before| input(Seq(before + 1))).collect())
    }

    /// Returns the record of the next events, one transition of each of these authors.
    pub fn next_by<'a>(&mut self, authors: impl IntoIterator<Item = &'a str>) -> Record {
        let input = |author: &str| Input::Transition {
            author: Author(author.into()),
            client: ClientId([7; 16]),
            number: Number(1),
            transition: Bytes::from_static(b"transition"),
        };
        self.record(authors.into_iter().map(input).collect())
    }

    /// Returns the record of an upgrade to `digest`.
    pub fn upgrade(&mut self, digest: Digest) -> Record {
        let record = self.record(vec![Input::Upgraded(digest)]);
        self.digest = digest;
        Record { upgrade: Some(digest), ..record }
    }

    fn record(&mut self, inputs: Vec<Input>) -> Record {
        let expected = self.head;
        let mut body = Vec::new();
        for input in inputs {
            self.head = self.head.next();
            let time = Timestamp(1_000 + self.head.0);
            let event = Event { seq: self.head, time, entropy: self.head.0.wrapping_mul(0x9e37_79b9_7f4a_7c15), input };
            let encoded = postcard::to_allocvec(&event).unwrap();
            self.chain = self.chain.after(&encoded);
            body.extend(encoded);
        }
        let id = BatchId(expected.0 << 32 | self.genesis.nonce);
        let time = Timestamp(1_000 + self.head.0);
        Record { id, expected, last: self.head, time, upgrade: None, body: body.into(), chain: self.chain }
    }

    /// Appends the next `count` events.
    pub fn append(&mut self, journal: &Shared, count: u64) -> Appending {
        let record = self.next(count);
        journal.append(self.room(), record, Note::default())
    }

    /// Returns a snapshot at the head.
    #[must_use]
    pub fn snapshot(&self, state: &[u8]) -> Snapshot {
        Snapshot {
            seq: self.head,
            digest: self.digest,
            state_version: 1,
            time: Timestamp(1_000 + self.head.0),
            chain: self.chain,
            clients: Vec::new(),
            forgotten: None,
            present: Vec::new(),
            state: Bytes::copy_from_slice(state),
        }
    }
}

impl From<&LogWriter> for Base {
    fn from(log: &LogWriter) -> Self {
        Self { seq: log.head, time: Timestamp(1_000 + log.head.0), digest: log.digest, chain: log.chain }
    }
}

/// Returns the note of a room with this alarm and without participants.
#[must_use]
pub fn alarm(due: Option<u64>) -> Note {
    Note { alarm: due.map(Timestamp), is_occupied: false }
}

/// A journal, as the tests are given it.
pub type Shared = Arc<dyn Journal>;

/// Begins a room, and appends batches of these counts of events to it.
pub async fn room_with(journal: &Shared, name: &str, counts: &[u64]) -> LogWriter {
    let mut log = LogWriter::new("counter", name);
    journal.create_room(NewRoom::of(log.genesis.clone())).await.unwrap();
    for count in counts {
        assert_eq!(log.append(journal, *count).await, Appended::Committed);
    }
    log
}

/// Reads and proves a room's whole log, a few records at a time; returns its head and chain.
pub async fn prove(journal: &Shared, room: &RoomId) -> (Seq, Chain) {
    let record = journal.room(room).await.unwrap().unwrap();
    let found = prove_from(journal, room, record.start()).await;
    assert_eq!(found, (record.head, record.chain));
    found
}

/// Reads and proves the events after `start`, also of a staged room.
pub async fn prove_from(journal: &Shared, room: &RoomId, start: (Seq, Chain)) -> (Seq, Chain) {
    let (mut head, mut chain) = start;
    loop {
        let records = journal.read(room, head, 500).await.unwrap();
        if records.is_empty() {
            return (head, chain);
        }
        for record in records {
            assert_eq!(record.expected, head);
            record.decode(chain).unwrap();
            (head, chain) = (record.last, record.chain);
        }
    }
}
