//! Tests of SQLite's own features: group commit, limits, crashes, damage, a full disk, backups.

mod authors;
mod backup;
mod crash;
mod damage;
mod full;
mod proving;
mod sweep;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::Seq;
use reapply_sync::room::Note;
use rusqlite::Connection;

use super::schema::DATABASE_FILE;
use super::writer::QUEUE_BYTES_MAX;
use super::{Opened, SqliteJournal};
use crate::conformance::{LogWriter, Shared, prove, room_with};
use crate::{Appended, BatchId, JournalError, OpenJournalError, Record};

fn open(directory: &Path) -> Shared {
    open_sqlite(directory)
}

fn open_sqlite(directory: &Path) -> Arc<SqliteJournal> {
    let Opened { journal, warnings } = SqliteJournal::open(directory).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    Arc::new(journal)
}

/// Holds the database's write lock, so that the writer waits with its batch.
struct HeldUp(Connection);

impl HeldUp {
    fn new(directory: &Path) -> Self {
        let connection = Connection::open(directory.join(DATABASE_FILE)).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self(connection)
    }

    fn release(self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

#[tokio::test]
async fn one_commit_serves_every_room_that_is_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open_sqlite(directory.path());
    let shared: Shared = journal.clone();
    let mut logs = Vec::new();
    for index in 0..50 {
        logs.push(room_with(&shared, &format!("room-{index}"), &[]).await);
    }
    let commits_before = journal.commits();
    let held_up = HeldUp::new(directory.path());
    let mut appends = Vec::new();
    for _ in 0..10 {
        appends.extend(logs.iter_mut().map(|log| log.append(&shared, 1)));
    }
    held_up.release();
    for append in appends {
        assert_eq!(append.await, Appended::Committed);
    }
    // The first commit has the batch that the writer took before the rest came, the second all the rest.
    let commits = journal.commits() - commits_before;
    assert!(commits <= 2, "{commits} commits for 500 appends");
    for log in logs {
        assert_eq!(prove(&shared, log.room()).await, (Seq(10), log.chain));
    }
}

#[tokio::test]
async fn reads_wait_for_no_write_and_a_full_queue_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let mut log = room_with(&journal, "lobby", &[2]).await;
    let held_up = HeldUp::new(directory.path());
    // These expect a wrong head, so their bytes are not written.
    let mut stale = log.next(1);
    stale.expected = Seq(1);
    stale.body = Bytes::from(vec![0; 1024 * 1024]);
    let appends: Vec<_> = (0..QUEUE_BYTES_MAX / stale.body.len())
        .map(|_| journal.append(log.room(), stale.clone(), Note::default()))
        .collect();
    assert_eq!(journal.read(log.room(), Seq(0), 1000).await.unwrap().len(), 1);

    let overflow = journal.append(log.room(), stale.clone(), Note::default()).await;
    let Appended::Failed(error @ JournalError::QueueFull { .. }) = overflow else { panic!("{overflow:?}") };
    assert!(error.to_string().starts_with("the journal's queue is full"), "{error}");
    held_up.release();
    let mut refused = 0;
    for append in appends {
        match append.await {
            Appended::Conflict { head: Seq(2) } => {}
            Appended::Failed(JournalError::QueueFull { .. }) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 1, "the requests' own weight leaves room for one less");
    stale.expected = Seq(2);
    let mut log = LogWriter { head: Seq(2), ..log };
    log.chain = journal.room(log.room()).await.unwrap().unwrap().chain;
    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
}

#[tokio::test]
async fn the_database_itself_refuses_a_record_that_another_program_forestalled() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let mut log = room_with(&journal, "lobby", &[2]).await;
    // Another program that ignores the lock appends to the log behind the writer's back.
    let record = log.clone().next(1);
    let sum = super::log::record_checksum(1, &Record { id: BatchId(9), ..record.clone() });
    let intruder = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    intruder
        .execute(
            "INSERT INTO batches (room, expected, last, time, batch, chain, checksum, body)
             VALUES (1, 2, 3, ?1, 9, ?2, ?3, ?4)",
            rusqlite::params![record.time.0 as i64, record.chain.0, sum, &record.body[..]],
        )
        .unwrap();
    assert_eq!(log.append(&journal, 1).await, Appended::Conflict { head: Seq(3) });
    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
    assert_eq!(prove(&journal, log.room()).await, (Seq(4), log.chain));
}

#[tokio::test]
async fn a_journal_opens_again_with_all_that_it_held() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let mut log = room_with(&journal, "lobby", &[2, 1]).await;
    let snapshot = log.snapshot(b"state");
    journal.put_snapshot(log.room(), snapshot.clone()).await.unwrap();
    let in_use = SqliteJournal::open(directory.path()).unwrap_err();
    assert!(matches!(in_use, OpenJournalError::InUse { .. }), "{in_use}");
    // Everything that waits is stored before the journal closes.
    let append = log.append(&journal, 1);
    drop(journal);
    assert_eq!(append.await, Appended::Committed);

    let journal = open(directory.path());
    assert_eq!(prove(&journal, log.room()).await, (Seq(4), log.chain));
    assert_eq!(journal.snapshot(log.room(), None).await, Ok(Some(snapshot)));
    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
}

#[tokio::test]
async fn the_write_ahead_log_is_used_again_and_does_not_grow() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let wal_bytes = || directory.path().join(super::WAL_FILE).metadata().unwrap().len();
    let laid_out = wal_bytes();
    let mut log = room_with(&journal, "lobby", &[]).await;
    // Some 40 MB of log in all, if it grew.
    for _ in 0..200 {
        let appends: Vec<_> = (0..4).map(|_| log.append(&journal, 1000)).collect();
        for append in appends {
            assert_eq!(append.await, Appended::Committed);
        }
    }
    let grown = wal_bytes();
    assert!(grown <= laid_out * 4, "{laid_out} bytes were laid out, and {grown} are there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_log_stays_bounded_though_readers_are_never_all_idle() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let wal_bytes = || directory.path().join(super::WAL_FILE).metadata().unwrap().len();
    let laid_out = wal_bytes();
    let mut log = room_with(&journal, "lobby", &[]).await;
    for _ in 0..20 {
        assert_eq!(log.append(&journal, 4000).await, Appended::Committed);
    }
    // One read always overlaps with another, so that there is never a moment without a reader.
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (journal, room) = (journal.clone(), log.room().clone());
            tokio::spawn(async move {
                loop {
                    journal.read(&room, Seq(0), 2_000_000).await.unwrap();
                }
            })
        })
        .collect();
    let mut grown = 0;
    // Some 100 MB of log in all, if it grew.
    for _ in 0..250 {
        let appends: Vec<_> = (0..4).map(|_| log.append(&journal, 2000)).collect();
        for append in appends {
            assert_eq!(append.await, Appended::Committed);
        }
        grown = wal_bytes().max(grown);
    }
    for reader in readers {
        reader.abort();
        let _ended = reader.await;
    }
    let bound = 2 * super::checkpoint::LOG_FRAMES_MAX * (24 + super::PAGE_BYTES);
    assert!(grown <= bound, "{grown} bytes, of at most {bound}");
    // It releases what it took.
    for _ in 0..40 {
        assert_eq!(log.append(&journal, 4000).await, Appended::Committed);
    }
    assert!(wal_bytes() <= laid_out, "{} bytes of {laid_out} are left", wal_bytes());
}
