//! Tests of the messages that readers get, in which portions, and from which place.

use super::reader::Reader;
use super::*;
use crate::event::{BatchBuilder, Event, Input};
use crate::id::{Author, ClientKey, Timestamp};
use crate::limits::{EVENTS_MESSAGE_BYTES, EVENTS_READ_BYTES, READERS_TAIL_BYTES_MIN, SNAPSHOTS_BEGUN_MAX};
use crate::message::{HeldSnapshot, Hello, Resume, ServerMessage, Start};

fn new(base: Snapshot, limits: &Limits) -> History {
    History::new(LogId([0; 16]), base, limits)
}

fn base(seq: u64) -> Snapshot {
    Snapshot {
        seq: Seq(seq),
        digest: Digest([1; 32]),
        state_version: 1,
        time: Timestamp(0),
        chain: Chain([0; 32]),
        clients: vec![],
        forgotten: None,
        present: vec![],
        state: Bytes::from_static(b"state"),
    }
}

/// Returns a base with a state of this many bytes, all of them `seq`.
fn large(seq: u64, bytes: usize) -> Snapshot {
    Snapshot { state: vec![seq as u8; bytes].into(), ..base(seq) }
}

fn hello(key: u8, held: Option<HeldSnapshot>) -> Hello {
    Hello { held, ..Hello::new(ClientKey([key; 16]), None) }
}

fn resuming(resume: Option<Resume>) -> Hello {
    Hello::new(ClientKey([1; 16]), resume)
}

fn batch(after: u64, count: u64, bytes: usize) -> Batch {
    batch_after(Chain([0; 32]), after, count, bytes)
}

fn batch_after(chain: Chain, after: u64, count: u64, bytes: usize) -> Batch {
    let mut builder = BatchBuilder::new(Seq(after), chain);
    for seq in after + 1..=after + count {
        let input = Input::Joined(Author("x".repeat(bytes).into()));
        builder.push(Event { seq: Seq(seq), time: Timestamp(0), entropy: 0, input });
    }
    builder.finish()
}

fn seqs(read: &Read) -> Vec<String> {
    let describe = |message: &Bytes| match ServerMessage::decode(message).unwrap() {
        ServerMessage::Events(events) => format!("{}..={}", events[0].seq, events[events.len() - 1].seq),
        ServerMessage::Checkpoint { seq, .. } => format!("checkpoint {seq}"),
        other => panic!("{other:?}"),
    };
    read.messages.iter().map(describe).collect()
}

/// Makes the snapshot the base, and a checkpoint.
fn rebase(history: &History, base: Snapshot) {
    let hash = base.state_hash();
    history.note_checkpoint(base.seq, hash);
    history.rebase(Arc::new(base), hash);
}

#[test]
fn each_reader_gets_what_it_lacks_and_checkpoints_at_their_seq() {
    let history = new(base(0), &Limits::default());
    history.push(&batch(0, 3, 1));
    rebase(&history, base(3));
    assert_eq!(seqs(&history.read(Seq(1)).unwrap().unwrap()), ["2..=3", "checkpoint 3"]);
    history.push(&batch(3, 2, 1));
    assert_eq!(seqs(&history.read(Seq(1)).unwrap().unwrap()), ["2..=3", "checkpoint 3", "4..=5"]);
    assert_eq!(seqs(&history.read(Seq(3)).unwrap().unwrap()), ["4..=5"]);
    assert!(history.read(Seq(5)).unwrap().is_none());
    assert!(history.read(Seq(6)).is_err());
}

#[test]
fn readers_that_stand_at_a_late_checkpoint_get_it_before_they_go_on() {
    let history = new(base(0), &Limits::default());
    history.push(&batch(0, 3, 1));
    assert_eq!(seqs(&history.read(Seq(0)).unwrap().unwrap()), ["1..=3"]);
    rebase(&history, base(3));
    assert!(history.read(Seq(3)).unwrap().is_none());
    history.push(&batch(3, 2, 1));
    assert_eq!(seqs(&history.read(Seq(3)).unwrap().unwrap()), ["checkpoint 3", "4..=5"]);
    assert_eq!(seqs(&history.read(Seq(1)).unwrap().unwrap()), ["2..=3", "checkpoint 3", "4..=5"]);
    assert_eq!(seqs(&history.read(Seq(4)).unwrap().unwrap()), ["5..=5"]);
}

#[test]
fn a_reader_that_comes_after_the_checkpoint_gets_it_though_another_came_before() {
    let history = new(base(0), &Limits::default());
    history.push(&batch(0, 3, 1));
    assert_eq!(seqs(&history.read(Seq(0)).unwrap().unwrap()), ["1..=3"]);
    rebase(&history, base(3));
    assert_eq!(seqs(&history.read(Seq(0)).unwrap().unwrap()), ["1..=3", "checkpoint 3"]);
}

#[test]
fn long_reads_are_split_and_miss_nothing() {
    let history = new(base(0), &Limits::default());
    history.push(&batch(0, 100, EVENTS_MESSAGE_BYTES / 10));
    let (mut next, mut portions) = (1, 0);
    while let Some(read) = history.read(Seq(next - 1)).unwrap() {
        assert!(read.messages.iter().map(Bytes::len).sum::<usize>() < EVENTS_READ_BYTES + EVENTS_MESSAGE_BYTES);
        for message in read.messages.iter() {
            let ServerMessage::Events(events) = ServerMessage::decode(message).unwrap() else { panic!() };
            assert!(events.len() < 11);
            for event in events {
                assert_eq!(event.seq, Seq(next));
                next += 1;
            }
        }
        assert_eq!((read.upto, read.has_more), (Seq(next - 1), next < 101));
        portions += 1;
    }
    assert_eq!((next, portions), (101, 2));
}

/// Returns whether a replica that resumes gets the tail, and the event after which it reads.
fn started(history: &History, resume: Option<Resume>) -> (bool, Seq) {
    let (start, reader) = history.start(&resuming(resume));
    (start == Start::Tail, reader.after())
}

#[test]
fn a_resume_gets_the_tail_while_it_is_shorter_than_a_snapshot() {
    let history = new(base(0), &Limits::default());
    let mut batches = vec![batch(0, 50, 1000)];
    for (after, count, bytes) in [(50, 50, 1000), (100, 1, 1)] {
        batches.push(batch_after(batches[batches.len() - 1].chain, after, count, bytes));
    }
    let mut chains = vec![Chain([0; 32])];
    for event in batches.iter().flat_map(|batch| &batch.encoded) {
        chains.push(chains[chains.len() - 1].after(event));
    }
    let resume = |seq: u64| {
        let chain = chains.get(seq as usize).copied().unwrap_or(Chain([0; 32]));
        Some(Resume { log: LogId([0; 16]), digest: Digest([1; 32]), seq: Seq(seq), chain })
    };
    history.push(&batches[0]);
    history.push(&batches[1]);
    rebase(&history, base(100));
    history.push(&batches[2]);
    assert_eq!(started(&history, resume(100)), (true, Seq(100)));
    assert_eq!(started(&history, resume(90)), (true, Seq(90)));
    assert_eq!(started(&history, resume(101)), (true, Seq(101)));
    let other_past = Some(Resume { chain: chains[89], ..resume(90).unwrap() });
    assert_eq!(started(&history, other_past), (false, Seq(100)), "of another past");
    assert_eq!(started(&history, resume(1)), (false, Seq(100)), "longer than a snapshot");
    assert_eq!(started(&history, resume(102)), (false, Seq(100)), "from the future");
    assert_eq!(started(&history, None), (false, Seq(100)));
    let other_log = Some(Resume { log: LogId([9; 16]), ..resume(100).unwrap() });
    assert_eq!(started(&history, other_log), (false, Seq(100)));
}

#[test]
fn a_snapshot_cuts_off_only_those_who_fell_far_behind() {
    let history = new(base(0), &Limits::default());
    let half = READERS_TAIL_BYTES_MIN / 2000;
    history.push(&batch(0, half as u64, 1000));
    rebase(&history, base(half as u64));
    assert!(history.read(Seq(0)).is_ok(), "the largest batch can be read after the snapshot that follows it");
    history.push(&batch(half as u64, 2 * half as u64, 1000));
    rebase(&history, base(3 * half as u64));
    assert_eq!(history.read(Seq(0)).unwrap_err(), Trimmed { after: Seq(0) });
    assert!(history.read(Seq(2 * half as u64)).is_ok());
}

/// Reads this many parts of a snapshot. Returns the received bytes, and the offset of the first part.
fn receive(history: &History, reader: &mut Reader, parts: usize) -> (Vec<u8>, Option<u64>) {
    let (mut received, mut first) = (Vec::new(), None);
    for _ in 0..parts {
        let read = reader.read(history).unwrap().unwrap();
        let ServerMessage::Part { at, bytes } = ServerMessage::decode(&read.messages[0]).unwrap() else { panic!() };
        first.get_or_insert(at);
        received.extend_from_slice(&bytes);
    }
    (received, first)
}

/// Returns the announced hash, and the offset of the first byte that follows.
fn announced(start: &Start) -> (Digest, u64) {
    let Start::Parts(snapshot) = start else { panic!("{start:?}") };
    (snapshot.hash, snapshot.from)
}

fn small_parts() -> Limits {
    Limits { snapshot_part_bytes: 100, readers_tail_bytes_min: 0, ..Limits::default() }
}

#[test]
fn a_large_snapshot_comes_in_parts_that_joiners_share_and_the_events_after_it_follow() {
    let history = new(large(0, 250), &small_parts());
    history.push(&batch(0, 3, 1));
    let (start, mut reader) = history.start(&hello(1, None));
    assert_eq!(announced(&start), (large(0, 250).state_hash(), 0));
    let first = reader.read(&history).unwrap().unwrap();
    assert!(first.has_more);
    let (_, mut other) = history.start(&hello(2, None));
    assert_eq!(other.read(&history).unwrap().unwrap().messages[0].as_ptr(), first.messages[0].as_ptr());
    let (received, from) = receive(&history, &mut reader, 2);
    assert_eq!((received.len(), from), (150, Some(100)));
    assert_eq!(seqs(&reader.read(&history).unwrap().unwrap()), ["1..=3"]);
    assert!(reader.read(&history).unwrap().is_none());
    // A snapshot that fits into one part comes with the welcome. So does any snapshot for a replica of the version before.
    let small = new(large(0, 100), &small_parts());
    assert!(matches!(small.start(&hello(1, None)).0, Start::Snapshot { .. }));
    assert!(matches!(history.start(&Hello { version: 1, ..hello(1, None) }).0, Start::Snapshot { .. }));
}

#[test]
fn a_snapshot_that_was_begun_is_finished_though_there_is_a_newer_one() {
    let history = new(large(0, 20_000), &Limits { snapshot_part_bytes: 1000, ..small_parts() });
    let (start, mut reader) = history.start(&hello(1, None));
    let (hash, _) = announced(&start);
    receive(&history, &mut reader, 3);
    drop(reader);
    // Two newer snapshots, each of which would have trimmed the log.
    for seq in [30, 60] {
        history.push(&batch(seq - 30, 20, 1000));
        history.push(&batch(seq - 10, 10, 1000));
        rebase(&history, large(seq, 20_000));
    }
    // The last part that is held is incomplete, and is cut.
    let held = HeldSnapshot { hash, bytes: 3999 };
    let (start, mut reader) = history.start(&hello(1, Some(held)));
    assert_eq!(announced(&start), (hash, 3000));
    assert_eq!(receive(&history, &mut reader, 17).0.len(), 17_000);
    assert_eq!(seqs(&reader.read(&history).unwrap().unwrap()), ["1..=33", "34..=60", "checkpoint 60"]);
    let bytes = history.bytes();
    reader.handle_arrived(&history, hash);
    assert!(history.bytes() < bytes, "{} {bytes}", history.bytes());
    // Another newcomer starts from the newest snapshot, and the one after shares that.
    let (start, _) = history.start(&hello(2, None));
    assert_eq!(announced(&start).0, large(60, 20_000).state_hash());
    history.push(&batch(60, 30, 1000));
    rebase(&history, large(90, 20_000));
    let (start, _) = history.start(&hello(3, None));
    assert_eq!(announced(&start).0, large(60, 20_000).state_hash());
    // Once all have arrived, neither these snapshots nor the events before the newest are kept.
    for key in [2, 3] {
        Reader::new(ClientKey([key; 16]).client_id(), None, Seq(0)).handle_arrived(&history, announced(&start).0);
    }
    history.push(&batch(90, 20, 1000));
    history.push(&batch(110, 10, 1000));
    rebase(&history, large(120, 20_000));
    assert!(history.read(Seq(60)).is_err());
    assert_eq!(announced(&history.start(&hello(1, Some(held))).0), (large(120, 20_000).state_hash(), 0));
}

#[test]
fn beyond_the_bound_a_snapshot_is_begun_anew() {
    let history = new(large(0, 20_000), &Limits { snapshot_part_bytes: 1000, ..small_parts() });
    let (start, mut reader) = history.start(&hello(1, None));
    let held = HeldSnapshot { hash: announced(&start).0, bytes: 5000 };
    history.push(&batch(0, 60, 1000));
    history.push(&batch(60, 40, 1000));
    rebase(&history, large(100, 20_000));
    assert!(reader.read(&history).is_err(), "the events after it are gone");
    assert_eq!(announced(&history.start(&hello(1, Some(held))).0), (large(100, 20_000).state_hash(), 0));
    // The number of kept snapshots is bounded, however many replicas begin and go away.
    for seq in 0..20 {
        let (_, _reader) = history.start(&hello(seq as u8, None));
        history.push(&batch(100 + 41 * seq, 41, 1000));
        rebase(&history, large(141 + 41 * seq, 20_000));
    }
    let snapshots = (2 * SNAPSHOTS_BEGUN_MAX + 1) * 20_000;
    assert!(history.bytes() < snapshots + 3 * 42_000, "{}", history.bytes());
}

#[test]
fn the_same_state_goes_on_wherever_it_comes_from_and_lies_about_it_do_no_harm() {
    let history = new(large(7, 1000), &small_parts());
    let hash = large(7, 1000).state_hash();
    // A host that was started again has not begun a snapshot.
    for (bytes, from) in [(0, 0), (99, 0), (100, 100), (999, 900), (1000, 1000), (u64::MAX, 1000)] {
        let (start, _) = history.start(&hello(1, Some(HeldSnapshot { hash, bytes })));
        assert_eq!(announced(&start), (hash, from));
    }
    let (start, mut reader) = history.start(&hello(1, Some(HeldSnapshot { hash: Digest([9; 32]), bytes: 500 })));
    assert_eq!(announced(&start), (hash, 0));
    reader.handle_arrived(&history, Digest([9; 32]));
    assert_eq!(receive(&history, &mut reader, 10).0.len(), 1000);
}
