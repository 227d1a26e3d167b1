//! Proving rooms when they are first used, and everything in the background.

use std::path::Path;

use reapply_sync::Seq;
use rusqlite::Connection;

use super::{LogWriter, Shared, open, prove, room_with};
use crate::sqlite::schema::DATABASE_FILE;
use crate::{Appended, JournalError, ScrubReport};

const ROOMS: [&str; 3] = ["alpha", "beta", "gamma"];

/// Returns a closed journal with a few rooms, and their logs.
async fn filled(directory: &Path) -> Vec<LogWriter> {
    let journal = open(directory);
    let mut logs = Vec::new();
    for name in ROOMS {
        let mut log = room_with(&journal, name, &[3, 2]).await;
        journal.put_snapshot(log.room(), log.snapshot(b"state")).await.unwrap();
        assert_eq!(log.append(&journal, 4).await, Appended::Committed);
        logs.push(log);
    }
    logs
}

/// Damages the body of a record long before the newest snapshot. Using the room would not read that record.
fn damage(directory: &Path, room: i64) {
    let connection = Connection::open(directory.join(DATABASE_FILE)).unwrap();
    let sql = "UPDATE batches SET body = zeroblob(length(body)) WHERE room = ?1 AND expected = 0";
    assert_eq!(connection.execute(sql, [room]).unwrap(), 1);
}

/// Returns the number of bytes of events that the journal holds.
fn stored_bytes(directory: &Path) -> u64 {
    let connection = Connection::open(directory.join(DATABASE_FILE)).unwrap();
    let sum = connection.query_row("SELECT sum(length(body)) FROM batches", [], |row| row.get::<_, i64>(0)).unwrap();
    u64::try_from(sum).unwrap()
}

async fn scrubbed(journal: &Shared) -> ScrubReport {
    loop {
        let report = journal.scrub(false);
        if report.is_done {
            return report;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_damaged_room_is_quarantined_at_its_first_use_and_the_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut logs = filled(directory.path()).await;
    damage(directory.path(), 2);
    let journal = open(directory.path());
    let hurt = logs[1].room().clone();
    for _ in 0..2 {
        let answers = [
            journal.room(&hurt).await.err(),
            journal.snapshot(&hurt, None).await.err(),
            journal.read(&hurt, Seq(5), 1).await.err(),
            journal.build_at(&hurt, Seq(9)).await.err(),
            journal.snapshots(&hurt).await.err(),
            journal.rejections(&hurt).await.err(),
        ];
        for answer in answers {
            let Some(JournalError::Damaged(what)) = answer else { panic!("{answer:?}") };
            assert!(what.contains("room counter/beta, event 1"), "{what}");
        }
    }
    for index in [0, 2] {
        let log = &mut logs[index];
        assert_eq!(prove(&journal, log.room()).await, (log.head, log.chain));
        assert_eq!(log.append(&journal, 1).await, Appended::Committed);
    }
    let report = scrubbed(&journal).await;
    let [(room, what)] = &report.damaged[..] else { panic!("{report:?}") };
    assert_eq!((room, report.rooms, report.is_whole()), (&hurt, 3, false));
    assert!(what.contains("event 1"), "{what}");
}

#[tokio::test]
async fn what_nobody_uses_is_proved_in_the_background_and_again_when_that_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let logs = filled(directory.path()).await;
    let journal = open(directory.path());
    let report = scrubbed(&journal).await;
    assert_eq!((report.rooms, report.is_whole()), (3, true), "{report:?}");
    assert_eq!(report.bytes, stored_bytes(directory.path()));
    // Later damage is found by the next pass.
    damage(directory.path(), 3);
    assert_eq!(scrubbed(&journal).await, report);
    assert!(!journal.scrub(true).is_done);
    let report = scrubbed(&journal).await;
    assert_eq!(report.damaged.iter().map(|(room, _)| room).collect::<Vec<_>>(), [logs[2].room()]);
    let refused = journal.room(logs[2].room()).await.unwrap_err();
    assert!(matches!(refused, JournalError::Damaged(_)), "{refused}");
}

#[tokio::test]
async fn a_missing_machine_is_reported_though_it_is_no_rooms() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await;
    let connection = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    connection.execute_batch("UPDATE totals SET rows = rows + 1 WHERE name = 'machines'").unwrap();
    drop(connection);
    let report = scrubbed(&open(directory.path())).await;
    assert!(report.damaged.is_empty() && report.elsewhere.len() == 1, "{report:?}");
    assert!(report.elsewhere[0].contains("the table machines: it holds 0 rows where 1 must be"), "{report:?}");
}
