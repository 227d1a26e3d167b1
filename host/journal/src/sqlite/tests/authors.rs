//! The index of authors: derived from the log, and never trusted beyond it.

use std::path::Path;
use std::sync::Arc;

use reapply_sync::{Author, Seq};
use reapply_testing::until;
use rusqlite::Connection;

use super::{LogWriter, Shared, open};
use crate::conformance::{append_by, search};
use crate::sqlite::authors::{Collector, SEGMENT_EVENTS, Segment, hash};
use crate::sqlite::schema::DATABASE_FILE;
use crate::{LostLog, NewRoom, Proving, Record, SqliteJournal};

/// The number of events of the rooms in these tests: ten whole segments, and a part of one.
const EVENTS: u64 = 10 * SEGMENT_EVENTS + 300;

/// An event of the second author, in segment 6.
const RARE: u64 = 7_000;

type Row = (i64, i64, i64, Vec<u8>);

fn database(directory: &Path) -> Connection {
    Connection::open(directory.join(DATABASE_FILE)).unwrap()
}

fn rows(directory: &Path) -> Vec<Row> {
    let sql = "SELECT room, segment, checksum, hashes FROM authors ORDER BY room, segment";
    let connection = database(directory);
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

async fn wait_for_rows(directory: &Path, wanted: impl Fn(&[Row]) -> bool) -> Vec<Row> {
    until("the authors are noted", async || {
        let rows = rows(directory);
        if wanted(&rows) { Ok(rows) } else { Err(format!("{rows:?}")) }
    })
    .await
}

/// Starts another proof of everything, and waits until it is done.
async fn scrub(journal: &Shared) {
    until("an earlier pass has ended", async || if journal.scrub(false).is_done { Ok(()) } else { Err(String::new()) })
        .await;
    journal.scrub(true);
    until("everything is proved", async || {
        let report = journal.scrub(false);
        if report.is_done {
            assert_eq!((report.damaged.len(), report.elsewhere.len()), (0, 0), "{report:?}");
            Ok(())
        } else {
            Err(String::new())
        }
    })
    .await;
}

async fn room_by_two(journal: &Shared, name: &str) -> LogWriter {
    let mut log = LogWriter::new("counter", name);
    journal.create_room(NewRoom::of(log.genesis.clone())).await.unwrap();
    append_by(journal, &mut log, EVENTS, ["ann", "bob"], RARE).await;
    log
}

#[tokio::test]
async fn each_whole_segment_gets_a_row_and_others_events_are_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let log = room_by_two(&journal, "lobby").await;
    let rows = wait_for_rows(directory.path(), |rows| rows.len() == 10).await;
    assert!(rows.iter().map(|row| row.1).eq(0..10));
    assert!(rows.iter().map(|row| row.3.len()).eq((0..10).map(|segment| if segment == 6 { 16 } else { 8 })));
    let skip = async |after, authors: &[&str]| {
        let authors: Vec<Author> = authors.iter().map(|author| Author((*author).into())).collect();
        journal.skip(log.room(), Seq(after), &authors).await.unwrap().0
    };
    assert_eq!(skip(0, &["nobody"]).await, 10 * SEGMENT_EVENTS);
    assert_eq!(skip(EVENTS - 1, &["nobody"]).await, EVENTS - 1, "a part of a segment is read");
    for after in [0, 500, SEGMENT_EVENTS, 6 * SEGMENT_EVENTS - 1] {
        assert_eq!(skip(after, &["bob"]).await, 6 * SEGMENT_EVENTS);
        assert_eq!(skip(after, &["nobody", "bob"]).await, 6 * SEGMENT_EVENTS);
        assert_eq!(skip(after, &["bob", "ann"]).await, after);
    }
    assert_eq!(skip(RARE, &["bob"]).await, RARE, "its segment may have more");
    assert_eq!(skip(7 * SEGMENT_EVENTS, &["bob"]).await, 10 * SEGMENT_EVENTS);
}

#[tokio::test]
async fn a_row_that_is_missing_or_damaged_hides_nothing_and_is_made_again() {
    for damage in [
        "DELETE FROM authors WHERE segment = 6",
        "DELETE FROM authors",
        "UPDATE authors SET hashes = x'' WHERE segment = 6",
        "UPDATE authors SET hashes = (SELECT hashes FROM authors WHERE segment = 5),
             checksum = (SELECT checksum FROM authors WHERE segment = 5) WHERE segment = 6",
        "UPDATE authors SET segment = 100 WHERE segment = 6",
        "DROP TABLE authors; PRAGMA user_version = 5",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let journal = open(directory.path());
        let log = room_by_two(&journal, "lobby").await;
        let whole = wait_for_rows(directory.path(), |rows| rows.len() == 10).await;
        drop(journal);
        database(directory.path()).execute_batch(damage).unwrap();
        let journal = open(directory.path());
        assert!(search(&journal, &log, 0, "bob").await.contains(&RARE), "{damage}");
        scrub(&journal).await;
        let mended = |rows: &[Row]| whole.iter().all(|row| rows.contains(row));
        wait_for_rows(directory.path(), mended).await;
        assert!(search(&journal, &log, 0, "bob").await.contains(&RARE), "{damage}");
    }
}

#[tokio::test]
async fn damaged_rows_are_dropped_with_a_warning_where_everything_is_proved_first() {
    for (damage, dropped) in [
        ("UPDATE authors SET hashes = x'' WHERE segment = 6", 1),
        ("UPDATE authors SET checksum = checksum + 1", 10),
        ("UPDATE authors SET segment = -1 WHERE segment = 3", 1),
        ("UPDATE authors SET room = 99 WHERE segment < 2", 2),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let journal = open(directory.path());
        let log = room_by_two(&journal, "lobby").await;
        let whole = wait_for_rows(directory.path(), |rows| rows.len() == 10).await;
        drop(journal);
        database(directory.path()).execute_batch(damage).unwrap();
        let opened = SqliteJournal::open_with(directory.path(), LostLog::Refused, Proving::First).unwrap();
        let [warning] = &opened.warnings[..] else { panic!("{damage}: {:?}", opened.warnings) };
        assert!(warning.contains(&format!("damaged and lost {dropped} rows")), "{damage}: {warning}");
        assert_eq!(rows(directory.path()).len(), 10 - dropped, "{damage}");
        let journal: Shared = Arc::new(opened.journal);
        assert!(search(&journal, &log, 0, "bob").await.contains(&RARE), "{damage}");
        scrub(&journal).await;
        wait_for_rows(directory.path(), |rows| *rows == whole).await;
        drop(journal);
        let opened = SqliteJournal::open_with(directory.path(), LostLog::Refused, Proving::First).unwrap();
        assert_eq!(opened.warnings, [""; 0], "{damage}");
    }
}

#[tokio::test]
async fn the_segment_that_a_restart_falls_into_is_read_until_it_is_proved() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let mut log = room_by_two(&journal, "lobby").await;
    drop(journal);
    // Everything is proved before, so that nothing is while the room is used.
    let opened = SqliteJournal::open_with(directory.path(), LostLog::Refused, Proving::First).unwrap();
    let journal: Shared = Arc::new(opened.journal);
    append_by(&journal, &mut log, 2 * SEGMENT_EVENTS, ["ann", "bob"], RARE).await;
    assert!(rows(directory.path()).iter().map(|row| row.1).eq((0..10).chain([11])));
    let nobody = [Author("nobody".into())];
    assert_eq!(journal.skip(log.room(), Seq(0), &nobody).await, Ok(Seq(10 * SEGMENT_EVENTS)));
    assert!(search(&journal, &log, 0, "bob").await.contains(&RARE));
    scrub(&journal).await;
    wait_for_rows(directory.path(), |rows| rows.len() == 12).await;
    assert_eq!(journal.skip(log.room(), Seq(0), &nobody).await, Ok(Seq(12 * SEGMENT_EVENTS)));
}

#[tokio::test]
async fn staged_rooms_have_rows_when_they_are_published_and_trims_remove_them() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    for (name, is_published) in [("published", true), ("discarded", false)] {
        let mut log = LogWriter::new("counter", name);
        journal.create_room(NewRoom { staged: true, ..NewRoom::of(log.genesis.clone()) }).await.unwrap();
        append_by(&journal, &mut log, EVENTS, ["ann", "bob"], RARE).await;
        if is_published {
            journal.publish(log.room()).await.unwrap();
            wait_for_rows(directory.path(), |rows| rows.len() == 10).await;
        } else {
            journal.discard(log.room()).await.unwrap();
        }
    }
    let mut log = LogWriter::new("counter", "published");
    let room = log.room().clone();
    let skipped: Vec<Record> = std::iter::repeat_with(|| {
        let seqs = log.head.0 + 1..=EVENTS.min(log.head.0 + 100);
        log.next_by(seqs.map(|seq| ["ann", "bob"][usize::from(seq % RARE == 0)]))
    })
    .take(50)
    .collect();
    assert_eq!(skipped.last().unwrap().last, Seq(5_000));
    journal.put_snapshot(&room, log.snapshot(b"state")).await.unwrap();
    journal.trim(&room, Seq(5_000)).await.unwrap();
    let rows = rows(directory.path());
    assert!(rows.iter().map(|row| row.1).eq(4..10), "the segment that the log begins in stays: {rows:?}");
    scrub(&journal).await;
    let nobody = [Author("nobody".into())];
    assert_eq!(journal.skip(&room, Seq(5_000), &nobody).await, Ok(Seq(10 * SEGMENT_EVENTS)));
}

#[test]
fn only_segments_with_all_of_their_events_are_collected() {
    let mut log = LogWriter::new("counter", "lobby");
    let chain = log.chain;
    let record = log.next_by((1..=2 * SEGMENT_EVENTS).map(|seq| if seq == 2_000 { "bob" } else { "ann" }));
    let batch = record.decode(chain).unwrap();
    let collected = |after: usize| {
        let mut collector = Collector::after(Seq(after as u64));
        batch.encoded[after..].iter().flat_map(|event| collector.add_all(event)).collect::<Vec<Segment>>()
    };
    let [ann, bob] = ["ann", "bob"].map(hash);
    let [first, second] = [(0, vec![ann]), (1, vec![ann, bob])]
        .map(|(number, authors)| Segment { number, authors: authors.into_iter().collect() });
    assert_eq!(collected(0), [first, second.clone()]);
    for after in [1, 1_023, 1_024] {
        assert_eq!(collected(after), std::slice::from_ref(&second), "after {after}");
    }
    assert_eq!(collected(1_025), []);
}
