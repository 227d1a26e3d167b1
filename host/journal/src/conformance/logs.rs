//! Appending and reading.

use reapply_sync::room::Note;
use reapply_sync::{Seq, Timestamp};

use super::{LogWriter, Shared, prove, room_with};
use crate::{Appended, NewRoom};

pub async fn a_log_reads_back_as_it_was_appended(journal: Shared) {
    let mut log = LogWriter::new("counter", "lobby");
    journal.create_room(NewRoom::of(log.genesis.clone())).await.unwrap();
    let begun = journal.room(log.room()).await.unwrap().unwrap();
    assert_eq!((begun.head, begun.chain, begun.time, begun.batch), (Seq(0), log.chain, log.genesis.time, None));
    assert_eq!(journal.read(log.room(), Seq(0), 1000).await, Ok(Vec::new()));

    let records: Vec<_> = [1, 3, 2, 40].into_iter().map(|count| log.next(count)).collect();
    for record in &records {
        assert_eq!(journal.append(log.room(), record.clone(), Note::default()).await, Appended::Committed);
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

pub async fn appends_of_one_room_are_stored_in_the_order_of_the_calls(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[]).await;
    let appends: Vec<_> = (0..200).map(|_| log.append(&journal, 2)).collect();
    for append in appends {
        assert_eq!(append.await, Appended::Committed);
    }
    assert_eq!(prove(&journal, log.room()).await, (Seq(400), log.chain));
    // A writer does not have to wait for an append.
    drop(log.append(&journal, 1));
    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
    assert_eq!(prove(&journal, log.room()).await, (Seq(402), log.chain));
}

pub async fn an_append_that_expects_another_head_is_a_conflict(journal: Shared) {
    let mut owner = room_with(&journal, "lobby", &[3]).await;
    let mut stale = owner.clone();
    stale.genesis.nonce = 8;
    assert_eq!(owner.append(&journal, 2).await, Appended::Committed);
    for count in [1, 2, 3] {
        let mut stale = stale.clone();
        let append = journal.append(owner.room(), stale.next(count), Note::default());
        assert_eq!(append.await, Appended::Conflict { head: Seq(5) }, "{count} events");
    }
    let mut ahead = owner.clone();
    ahead.next(1);
    let gap = ahead.next(1);
    let after_gap = ahead.next(1);
    assert_eq!(journal.append(owner.room(), gap, Note::default()).await, Appended::Conflict { head: Seq(5) });
    assert_eq!(journal.append(owner.room(), after_gap, Note::default()).await, Appended::Conflict { head: Seq(5) });
    assert_eq!(owner.append(&journal, 1).await, Appended::Committed);
    assert_eq!(prove(&journal, owner.room()).await, (Seq(6), owner.chain));
}

pub async fn a_batch_that_landed_is_committed_when_it_is_appended_again(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[1]).await;
    let record = log.next(2);
    for _ in 0..2 {
        assert_eq!(journal.append(log.room(), record.clone(), Note::default()).await, Appended::Committed);
    }
    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
    assert_eq!(journal.append(log.room(), record, Note::default()).await, Appended::Committed);
    assert_eq!(prove(&journal, log.room()).await, (Seq(4), log.chain));
}
