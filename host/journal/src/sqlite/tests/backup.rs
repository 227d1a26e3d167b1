//! Backups, taken while the journal is in use.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reapply_sync::Seq;

use super::{LogWriter, Shared, open, prove, room_with};
use crate::conformance::alarm;
use crate::sqlite::schema::DATABASE_FILE;
use crate::{Appended, NewRoom};

const ROOMS: usize = 3;

/// Appends until it is stopped, and returns the log.
async fn load(journal: Shared, name: String, stop: Arc<AtomicBool>) -> LogWriter {
    let mut log = room_with(&journal, &name, &[]).await;
    while !stop.load(Ordering::Relaxed) {
        assert_eq!(log.append(&journal, 2).await, Appended::Committed);
        if log.head.0 % 100 == 0 {
            journal.put_snapshot(log.room(), log.snapshot(&[1; 10_000])).await.unwrap();
        }
    }
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_taken_while_appends_go_on_holds_a_prefix_of_each_log() {
    let root = tempfile::tempdir().unwrap();
    let journal = open(&root.path().join("live"));
    // Enough that copying it takes a while.
    let mut before = room_with(&journal, "before", &[]).await;
    for _ in 0..40 {
        assert_eq!(before.append(&journal, 2_000).await, Appended::Committed);
    }
    let stop = Arc::<AtomicBool>::default();
    let tasks: Vec<_> =
        (0..ROOMS).map(|index| tokio::spawn(load(journal.clone(), format!("room-{index}"), stop.clone()))).collect();
    let mut backups = Vec::new();
    let mut floor = [Seq(0); ROOMS];
    for index in 0..4 {
        // Everything durable when a backup begins is in it.
        for (room, floor) in floor.iter_mut().enumerate() {
            let record = journal.room(LogWriter::new("counter", &format!("room-{room}")).room()).await.unwrap();
            *floor = record.map_or(*floor, |record| record.head);
        }
        let directory = root.path().join(format!("backup-{index}"));
        fs::create_dir(&directory).unwrap();
        journal.backup(&directory.join(DATABASE_FILE)).await.unwrap();
        backups.push((directory, floor));
    }
    stop.store(true, Ordering::Relaxed);
    let mut logs = Vec::new();
    for task in tasks {
        logs.push(task.await.unwrap());
    }
    for (directory, floor) in backups {
        let copy = open(&directory);
        assert_eq!(prove(&copy, before.room()).await, (before.head, before.chain));
        for (log, floor) in logs.iter().zip(floor) {
            if copy.room(log.room()).await.unwrap().is_none() {
                assert_eq!(floor, Seq(0));
                continue;
            }
            let (head, chain) = prove(&copy, log.room()).await;
            assert!(head >= floor && head <= log.head, "{head} is not from {floor} to {}", log.head);
            let whole = journal.read(log.room(), Seq(0), usize::MAX).await.unwrap();
            assert_eq!(copy.read(log.room(), Seq(0), usize::MAX).await.unwrap(), whole[..head.0 as usize / 2]);
            // It is a journal like any other.
            let mut copied = LogWriter { head, chain, ..log.clone() };
            assert_eq!(copied.append(&copy, 1).await, Appended::Committed);
        }
    }
}

#[tokio::test]
async fn a_backup_keeps_everything_but_what_is_staged() {
    let root = tempfile::tempdir().unwrap();
    let journal = open(&root.path().join("live"));
    let mut log = room_with(&journal, "lobby", &[2]).await;
    journal.put_snapshot(log.room(), log.snapshot(&[9; 2_000_000])).await.unwrap();
    let record = log.next(1);
    assert_eq!(journal.append(log.room(), record, alarm(Some(6))).await, Appended::Committed);
    journal.trim(log.room(), Seq(2)).await.unwrap();
    let staged = NewRoom { staged: true, ..NewRoom::of(LogWriter::new("counter", "staged").genesis) };
    journal.create_room(staged.clone()).await.unwrap();

    let directory = root.path().join("backup");
    fs::create_dir(&directory).unwrap();
    journal.backup(&directory.join(DATABASE_FILE)).await.unwrap();
    journal.publish(&staged.room).await.unwrap();
    let copy = open(&directory);
    assert_eq!(copy.room(log.room()).await, journal.room(log.room()).await);
    assert_eq!(copy.alarms(10).await, journal.alarms(10).await);
    assert_eq!(copy.snapshot(log.room(), None).await, journal.snapshot(log.room(), None).await);
    assert_eq!(prove(&copy, log.room()).await, (Seq(3), log.chain));
    assert_eq!(copy.room(&staged.room).await, Ok(None));
    copy.create_room(staged).await.unwrap();
}
