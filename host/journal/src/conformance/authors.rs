//! Searching a log for the events of an author.

use reapply_sync::room::Note;
use reapply_sync::{Author, Seq};

use super::{LogWriter, Shared};
use crate::{Appended, JournalError, NewRoom};

/// Appends `count` events, in records of 100. Every `period`th event is by the second author, the others by the first.
pub async fn append_by(journal: &Shared, log: &mut LogWriter, count: u64, authors: [&str; 2], period: u64) {
    let room = log.room().clone();
    let last = log.head.0 + count;
    let mut appends = Vec::new();
    while log.head.0 < last {
        let seqs = log.head.0 + 1..=last.min(log.head.0 + 100);
        let record = log.next_by(seqs.map(|seq| authors[usize::from(seq % period == 0)]));
        appends.push(journal.append(&room, record, Note::default()));
    }
    for append in appends {
        assert_eq!(append.await, Appended::Committed);
    }
}

/// Returns the places that a search for an author stops at, from `after` to the head: each is a skip, or the next event.
pub async fn search(journal: &Shared, log: &LogWriter, after: u64, author: &str) -> Vec<u64> {
    let (mut place, mut places) = (Seq(after), Vec::new());
    while place < log.head {
        let to = journal.skip(log.room(), place, &[Author(author.into())]).await.unwrap();
        assert!(to >= place && to <= log.head, "{place} to {to}");
        place = if to > place { to } else { place.next() };
        places.push(place.0);
    }
    places
}

/// An engine may know of any number of events to skip, so only the ones that it must not skip are compared.
pub async fn no_event_of_an_author_is_skipped(journal: Shared) {
    let mut log = LogWriter::new("counter", "lobby");
    journal.create_room(NewRoom::of(log.genesis.clone())).await.unwrap();
    append_by(&journal, &mut log, 5_000, ["ann", "bob"], 1_900).await;
    for _ in 0..2 {
        for after in [0, 1_023, 1_024, 1_025, 1_899, 1_900, 4_999] {
            let places = search(&journal, &log, after, "bob").await;
            let theirs = [1_900, 3_800].into_iter().filter(|seq| *seq > after);
            theirs.for_each(|seq| assert!(places.contains(&seq), "after {after}: event {seq} is skipped"));
            assert_eq!(search(&journal, &log, after, "ann").await.first(), Some(&(after + 1)));
        }
        // Again when the engine may know more.
        assert_eq!(search(&journal, &log, 0, "nobody").await.last(), Some(&5_000));
        drop(journal.hold(log.room()).await.unwrap());
    }
    assert_eq!(journal.skip(log.room(), Seq(9_999), &[Author("ann".into())]).await, Ok(Seq(9_999)));
    let other = LogWriter::new("counter", "other").room().clone();
    assert_eq!(journal.skip(&other, Seq(0), &[]).await, Err(JournalError::NoSuchRoom(other.clone())));

    let mut cut = log.clone();
    append_by(&journal, &mut cut, 100, ["ann", "bob"], 1_900).await;
    journal.put_snapshot(log.room(), cut.snapshot(b"state")).await.unwrap();
    append_by(&journal, &mut cut, 100, ["ann", "bob"], 1_900).await;
    journal.trim(log.room(), Seq(5_100)).await.unwrap();
    let trimmed = JournalError::Trimmed { room: log.room().clone(), begins: Seq(5_100) };
    assert_eq!(journal.skip(log.room(), Seq(5_099), &[]).await, Err(trimmed));
    assert_eq!(search(&journal, &cut, 5_100, "bob").await.last(), Some(&5_200));
}
