//! Work that a crash leaves half-done: unpublished rooms, partly trimmed logs, parts of snapshots.

use std::path::Path;

use reapply_sync::{RoomId, Seq};
use rusqlite::Connection;

use super::{LogWriter, Shared, open, prove, room_with};
use crate::conformance::alarm;
use crate::sqlite::outcome::Outcome;
use crate::sqlite::schema::{self, DATABASE_FILE};
use crate::sqlite::snapshots::{self, NewSnapshot};
use crate::sqlite::{mark, rooms, verify};
use crate::{Appended, JournalError, NewRoom, OpenJournalError, SqliteJournal};

/// Returns the number of rows of a table.
fn count(directory: &Path, table: &str) -> i64 {
    let connection = Connection::open(directory.join(DATABASE_FILE)).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// Performs only the first transaction of an operation.
fn begin(directory: &Path, act: impl FnOnce(&Connection) -> Outcome) {
    let file = directory.join(DATABASE_FILE);
    let connection = schema::open_writer(&file).unwrap();
    let transaction = connection.unchecked_transaction().unwrap();
    assert!(matches!(act(&connection), Outcome::More), "there is more to do");
    transaction.commit().unwrap();
    verify::verify(&connection, &file).unwrap();
}

async fn append_all(journal: &Shared, room: &RoomId, log: &mut LogWriter, count: usize) {
    let appends: Vec<_> = (0..count).map(|_| journal.append(room, log.next(1), alarm(Some(8)))).collect();
    for append in appends {
        assert_eq!(append.await, Appended::Committed);
    }
}

#[tokio::test]
async fn staged_rooms_are_removed_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let log = room_with(&journal, "lobby", &[2]).await;
    for name in ["staged", "discarded"] {
        let mut fork = LogWriter::new("counter", name);
        let room = fork.room().clone();
        journal.create_room(NewRoom { staged: true, ..NewRoom::of(fork.genesis.clone()) }).await.unwrap();
        append_all(&journal, &room, &mut fork, 1_100).await;
        journal.put_snapshot(&room, fork.snapshot(&[5; 2_000_000])).await.unwrap();
    }
    drop(journal);
    let discarded = LogWriter::new("counter", "discarded").room().clone();
    begin(directory.path(), |connection| rooms::discard(connection, &discarded).unwrap());

    let journal = open(directory.path());
    let staged = LogWriter::new("counter", "staged");
    for room in [staged.room(), &discarded] {
        assert_eq!(journal.discard(room).await, Err(JournalError::NoSuchRoom(room.clone())));
    }
    let rows = ["rooms", "batches", "snapshots", "chunks", "alarms"].map(|table| count(directory.path(), table));
    assert_eq!(rows, [1, 1, 0, 0, 0]);
    assert_eq!(prove(&journal, log.room()).await, (Seq(2), log.chain));
    journal.create_room(NewRoom::of(staged.genesis)).await.unwrap();
}

/// Creates a room with snapshots after its events 600 and 1,300, which is the last one.
async fn with_two_snapshots(journal: &Shared) -> LogWriter {
    let mut log = room_with(journal, "lobby", &[]).await;
    let room = log.room().clone();
    append_all(journal, &room, &mut log, 600).await;
    journal.put_snapshot(&room, log.snapshot(b"first")).await.unwrap();
    append_all(journal, &room, &mut log, 700).await;
    journal.put_snapshot(&room, log.snapshot(b"second")).await.unwrap();
    log
}

#[tokio::test]
async fn a_trimmed_log_is_as_it_was_after_a_restart_and_after_a_crash_within() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let mut log = with_two_snapshots(&journal).await;
    let (room, base) = (log.room().clone(), log.clone());
    append_all(&journal, &room, &mut log, 10).await;
    drop(journal);
    begin(directory.path(), |connection| rooms::trim(connection, &room, base.head, false).unwrap());
    assert_eq!(count(directory.path(), "snapshots"), 2, "it has not come so far");

    for _ in 0..2 {
        let journal = open(directory.path());
        let record = journal.room(&room).await.unwrap().unwrap();
        assert_eq!(record.start(), (base.head, base.chain));
        assert_eq!(prove(&journal, &room).await, (log.head, log.chain));
        assert_eq!(journal.snapshot(&room, None).await.unwrap(), Some(base.snapshot(b"second")));
        assert_eq!(count(directory.path(), "batches"), log.head.0 as i64 - 1_300);
        assert_eq!(count(directory.path(), "snapshots"), 1);
        append_all(&journal, &room, &mut log, 1).await;
    }
}

#[tokio::test]
async fn what_readers_see_of_a_half_trimmed_log_is_the_trimmed_one() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let mut log = with_two_snapshots(&journal).await;
    let (room, base) = (log.room().clone(), log.clone());
    append_all(&journal, &room, &mut log, 3).await;
    begin(directory.path(), |connection| rooms::trim(connection, &room, base.head, false).unwrap());

    assert_eq!(prove(&journal, &room).await, (log.head, log.chain));
    let begins = base.head;
    assert_eq!(
        journal.read(&room, Seq(begins.0 - 1), 1).await,
        Err(JournalError::Trimmed { room: room.clone(), begins })
    );
    assert_eq!(journal.snapshots(&room).await.unwrap().len(), 1);
    assert_eq!(journal.snapshot(&room, Some(Seq(begins.0 - 1))).await, Ok(None));
    let stale = LogWriter { head: Seq(600), ..log.clone() }.snapshot(b"first");
    let mismatch = JournalError::SnapshotMismatch { room: room.clone(), seq: Seq(600) };
    assert_eq!(journal.put_snapshot(&room, stale).await, Err(mismatch));
    journal.trim(&room, begins).await.unwrap();
    assert_eq!(count(directory.path(), "batches"), 3);
}

#[tokio::test]
async fn parts_of_a_snapshot_are_no_snapshot_and_go_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let mut log = room_with(&journal, "lobby", &[4]).await;
    let state = vec![3; 4_000_000];
    drop(journal);
    begin(directory.path(), |connection| {
        let new = NewSnapshot::new(log.room().clone(), log.snapshot(&state)).unwrap();
        snapshots::put(connection, &new, 0).unwrap()
    });
    assert_eq!(count(directory.path(), "chunks"), 1);
    let journal = open(directory.path());
    assert_eq!(count(directory.path(), "chunks"), 0);
    assert_eq!(journal.snapshots(log.room()).await, Ok(Vec::new()));
    journal.put_snapshot(log.room(), log.snapshot(&state)).await.unwrap();
    assert_eq!(journal.snapshot(log.room(), None).await.unwrap(), Some(log.snapshot(&state)));
    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
}

/// The start fails after the journal was marked as open, so the log that the mark requires must stay.
#[tokio::test]
async fn a_start_that_fails_leaves_the_log_that_the_next_one_asks_for() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let log = room_with(&journal, "lobby", &[2]).await;
    let staged = LogWriter::new("counter", "staged").genesis;
    journal.create_room(NewRoom { staged: true, ..NewRoom::of(staged) }).await.unwrap();
    drop(journal);
    let set = |checksum: &str| {
        let connection = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
        mark::keep_log(&connection, true).unwrap();
        let sql = format!("UPDATE rooms SET checksum = {checksum} WHERE room = 'staged'");
        assert_eq!(connection.execute(&sql, []).unwrap(), 1);
    };
    set("checksum + 1");
    for _ in 0..2 {
        let error = SqliteJournal::open(directory.path()).unwrap_err();
        assert!(matches!(&error, OpenJournalError::Damaged { place, .. } if place == "room counter/staged"), "{error}");
    }
    set("checksum - 1");
    assert_eq!(prove(&open(directory.path()), log.room()).await, (Seq(2), log.chain));
}
