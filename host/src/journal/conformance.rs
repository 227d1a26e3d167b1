//! What every engine must do, as tests: an engine's own tests call [`conformance!`] with how to open it.

use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::{Chain, Digest, Event, Genesis, Input, RoomId, Seq, Snapshot, Timestamp};

use super::{Appended, Appending, BatchId, Component, Journal, JournalError, NewRoom, Record};

/// Makes a test of each rule. `$open` is an async function that gives the storage to keep and a journal on it, both new.
macro_rules! conformance {
    ($open:path; $($rule:ident)*) => {
        $(
            #[tokio::test]
            async fn $rule() {
                let (_storage, journal) = $open().await;
                crate::journal::conformance::$rule(journal).await;
            }
        )*
    };
    ($open:path) => {
        crate::journal::conformance::conformance! {
            $open;
            a_log_reads_back_as_it_was_appended
            appends_of_one_room_are_stored_in_the_order_of_the_calls
            an_append_that_expects_another_head_is_a_conflict
            a_batch_that_landed_is_committed_when_it_is_appended_again
            rooms_are_begun_once_and_listed
            snapshots_are_found_at_or_below_a_seq
            snapshots_of_another_log_are_refused
            components_and_machines_are_kept
        }
    };
}
pub(crate) use conformance;

/// Writes one room's log: a sequencer's part in these tests.
#[derive(Clone, Debug)]
pub struct LogWriter {
    /// The room.
    pub genesis: Genesis,
    /// The last event made so far.
    pub head: Seq,
    /// The chain there.
    pub chain: Chain,
}

impl LogWriter {
    /// Begins the log of `machine/room`.
    #[must_use]
    pub fn new(machine: &str, room: &str) -> Self {
        let room = RoomId { machine: machine.parse().unwrap(), room: room.parse().unwrap() };
        let time = Timestamp(1_000);
        let genesis = Genesis { room, digest: Digest::of(b"build"), options: "{}".to_owned(), time, nonce: 7 };
        Self { head: Seq(0), chain: genesis.chain(), genesis }
    }

    /// The room.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        &self.genesis.room
    }

    /// The record of the next `count` events.
    pub fn next(&mut self, count: u64) -> Record {
        let expected = self.head;
        let mut body = Vec::new();
        for _ in 0..count {
            self.head = self.head.next();
            let input = Input::Alarm(self.head.0.to_le_bytes().repeat(3).into());
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
        journal.append(self.room(), record, None)
    }

    /// A snapshot at the head.
    #[must_use]
    pub fn snapshot(&self, state: &'static [u8]) -> Snapshot {
        Snapshot {
            seq: self.head,
            digest: self.genesis.digest,
            state_version: 1,
            time: Timestamp(1_000 + self.head.0),
            chain: self.chain,
            clients: Vec::new(),
            clients_forgotten: false,
            present: Vec::new(),
            state: Bytes::from_static(state),
        }
    }
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

/// Reads and proves a room's whole log, a few records at a time; gives its head and chain.
pub async fn prove(journal: &Shared, room: &RoomId) -> (Seq, Chain) {
    let genesis = journal.room(room).await.unwrap().unwrap().genesis;
    let (mut head, mut chain) = (Seq(0), genesis.chain());
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

pub(crate) async fn a_log_reads_back_as_it_was_appended(journal: Shared) {
    let mut log = LogWriter::new("counter", "lobby");
    journal.create_room(NewRoom::of(log.genesis.clone())).await.unwrap();
    let begun = journal.room(log.room()).await.unwrap().unwrap();
    assert_eq!((begun.head, begun.chain, begun.time, begun.batch), (Seq(0), log.chain, log.genesis.time, None));
    assert_eq!(journal.read(log.room(), Seq(0), 1000).await, Ok(Vec::new()));

    let records: Vec<_> = [1, 3, 2, 40].into_iter().map(|count| log.next(count)).collect();
    for record in &records {
        assert_eq!(journal.append(log.room(), record.clone(), None).await, Appended::Committed);
    }
    let room = journal.room(log.room()).await.unwrap().unwrap();
    assert_eq!((room.head, room.chain, room.time), (Seq(46), log.chain, Timestamp(1_046)));
    assert_eq!((room.batch, room.genesis.clone()), (Some(records[3].id), log.genesis.clone()));

    let read = async |after, bytes_max| journal.read(log.room(), Seq(after), bytes_max).await.unwrap();
    assert_eq!(read(0, usize::MAX).await, records);
    assert_eq!(read(0, 0).await, records[..1], "at least one");
    assert_eq!(read(0, records[0].body.len() + records[1].body.len()).await, records[..2]);
    assert_eq!(read(1, usize::MAX).await, records[1..], "after the end of a record");
    assert_eq!(read(2, usize::MAX).await, records[1..], "after the middle of a record");
    assert_eq!(read(46, usize::MAX).await, []);
    assert_eq!(read(u64::MAX >> 1, usize::MAX).await, []);
    assert_eq!(prove(&journal, log.room()).await, (Seq(46), log.chain));
}

pub(crate) async fn appends_of_one_room_are_stored_in_the_order_of_the_calls(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[]).await;
    let appends: Vec<_> = (0..200).map(|_| log.append(&journal, 2)).collect();
    for append in appends {
        assert_eq!(append.await, Appended::Committed);
    }
    assert_eq!(prove(&journal, log.room()).await, (Seq(400), log.chain));
    // Nobody needs to wait for an append.
    drop(log.append(&journal, 1));
    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
    assert_eq!(prove(&journal, log.room()).await, (Seq(402), log.chain));
}

pub(crate) async fn an_append_that_expects_another_head_is_a_conflict(journal: Shared) {
    let mut owner = room_with(&journal, "lobby", &[3]).await;
    let mut stale = owner.clone();
    stale.genesis.nonce = 8;
    assert_eq!(owner.append(&journal, 2).await, Appended::Committed);
    for count in [1, 2, 3] {
        let mut stale = stale.clone();
        let append = journal.append(owner.room(), stale.next(count), None);
        assert_eq!(append.await, Appended::Conflict { head: Seq(5) }, "{count} events");
    }
    let mut ahead = owner.clone();
    ahead.next(1);
    let gap = ahead.next(1);
    let after_gap = ahead.next(1);
    assert_eq!(journal.append(owner.room(), gap, None).await, Appended::Conflict { head: Seq(5) });
    assert_eq!(journal.append(owner.room(), after_gap, None).await, Appended::Conflict { head: Seq(5) });
    assert_eq!(owner.append(&journal, 1).await, Appended::Committed);
    assert_eq!(prove(&journal, owner.room()).await, (Seq(6), owner.chain));
}

pub(crate) async fn a_batch_that_landed_is_committed_when_it_is_appended_again(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[1]).await;
    let record = log.next(2);
    for _ in 0..2 {
        assert_eq!(journal.append(log.room(), record.clone(), None).await, Appended::Committed);
    }
    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
    assert_eq!(journal.append(log.room(), record, None).await, Appended::Committed);
    assert_eq!(prove(&journal, log.room()).await, (Seq(4), log.chain));
}

pub(crate) async fn rooms_are_begun_once_and_listed(journal: Shared) {
    let mut nobody = LogWriter::new("counter", "nowhere");
    let missing = JournalError::NoSuchRoom(nobody.room().clone());
    assert_eq!(journal.room(nobody.room()).await, Ok(None));
    assert_eq!(journal.read(nobody.room(), Seq(0), 1).await, Err(missing.clone()));
    assert_eq!(journal.snapshot(nobody.room(), None).await, Err(missing.clone()));
    assert_eq!(journal.append(&nobody.room().clone(), nobody.next(1), None).await, Appended::Failed(missing));

    let beta = room_with(&journal, "beta", &[4]).await;
    let alpha = room_with(&journal, "alpha", &[]).await;
    let other = LogWriter::new("board", "alpha");
    journal.create_room(NewRoom::of(other.genesis.clone())).await.unwrap();
    let again = journal.create_room(NewRoom::of(beta.genesis.clone())).await;
    assert_eq!(again, Err(JournalError::RoomExists(beta.room().clone())));

    let list = async |machine: Option<&str>, after: Option<&RoomId>, count_max| {
        let machine = machine.map(|name| name.parse().unwrap());
        let rooms = journal.rooms(machine.as_ref(), after, count_max).await.unwrap();
        rooms.into_iter().map(|room| (room.room, room.head.0)).collect::<Vec<_>>()
    };
    let all = [(other.room().clone(), 0), (alpha.room().clone(), 0), (beta.room().clone(), 4)];
    assert_eq!(list(None, None, 10).await, all);
    assert_eq!(list(None, None, 2).await, all[..2]);
    assert_eq!(list(None, Some(alpha.room()), 2).await, all[2..]);
    assert_eq!(list(Some("counter"), None, 10).await, all[1..]);
    assert_eq!(list(Some("nothing"), None, 10).await, []);
    assert_eq!(journal.builds(&beta.room().machine).await, Ok(vec![(beta.genesis.digest, 2)]));
    assert_eq!(journal.builds(&"nothing".parse().unwrap()).await, Ok(vec![]));
}

pub(crate) async fn snapshots_are_found_at_or_below_a_seq(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[2]).await;
    assert_eq!(journal.snapshot(log.room(), None).await, Ok(None));
    let first = log.snapshot(b"first");
    journal.put_snapshot(log.room(), first.clone()).await.unwrap();
    journal.put_snapshot(log.room(), first.clone()).await.unwrap();
    // A snapshot may stand within a batch: the journal finds the chain there.
    let mut within = log.clone();
    let _ = within.next(3);
    let second = within.snapshot(b"second");
    assert_eq!(log.append(&journal, 5).await, Appended::Committed);
    journal.put_snapshot(log.room(), second.clone()).await.unwrap();

    let find = async |at_most: Option<u64>| journal.snapshot(log.room(), at_most.map(Seq)).await.unwrap();
    assert_eq!(find(None).await, Some(second.clone()));
    assert_eq!(find(Some(5)).await, Some(second));
    assert_eq!(find(Some(4)).await, Some(first.clone()));
    assert_eq!(find(Some(2)).await, Some(first));
    assert_eq!(find(Some(1)).await, None);
}

pub(crate) async fn snapshots_of_another_log_are_refused(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[2, 4]).await;
    let mut forged = log.snapshot(b"state");
    forged.chain = Chain([1; 32]);
    let mut forged_within = forged.clone();
    forged_within.seq = Seq(3);
    let _ = log.next(1);
    let ahead = log.snapshot(b"state");
    for snapshot in [forged, forged_within, ahead] {
        let mismatch = JournalError::SnapshotMismatch { room: log.room().clone(), seq: snapshot.seq };
        assert_eq!(journal.put_snapshot(log.room(), snapshot).await, Err(mismatch));
    }
    assert_eq!(journal.snapshot(log.room(), None).await, Ok(None));
}

pub(crate) async fn components_and_machines_are_kept(journal: Shared) {
    let component = |bytes: &'static [u8]| Component {
        digest: Digest::of(bytes),
        bytes: Bytes::from_static(bytes),
        description: r#"{"name":"counter"}"#.to_owned(),
        browser_js: "export {}".to_owned(),
    };
    let (old, new) = (component(b"old"), component(b"new"));
    let name = "counter".parse().unwrap();
    assert_eq!(journal.component(old.digest).await, Ok(None));
    let missing = journal.set_current(&name, old.digest, Timestamp(1)).await;
    assert_eq!(missing, Err(JournalError::NoSuchComponent(old.digest)));
    assert_eq!(journal.machines().await, Ok(Vec::new()));

    for component in [&old, &new, &old] {
        journal.put_component(component.clone()).await.unwrap();
        assert_eq!(journal.component(component.digest).await, Ok(Some(component.clone())));
    }
    for (index, build) in [&old, &new].into_iter().enumerate() {
        journal.set_current(&name, build.digest, Timestamp(index as u64)).await.unwrap();
        let machines = journal.machines().await.unwrap();
        assert_eq!(machines.len(), 1);
        assert_eq!((&machines[0].name, machines[0].digest), (&name, build.digest));
        assert_eq!(machines[0].deployed, Timestamp(index as u64));
    }
    let [first, last] = [old.digest.min(new.digest), old.digest.max(new.digest)];
    let digests = |from, upto, count_max| journal.digests(from, upto, count_max);
    assert_eq!(digests(Digest([0; 32]), Digest([255; 32]), 9).await, Ok(vec![first, last]));
    assert_eq!(digests(first, last, 1).await, Ok(vec![first]));
    assert_eq!(digests(last, last, 9).await, Ok(vec![last]));
    assert_eq!(digests(last, first, 9).await, Ok(vec![]));
    let false_name = Component { digest: old.digest, ..new.clone() };
    assert_eq!(journal.put_component(false_name).await, Err(JournalError::ComponentMismatch(old.digest)));
}
