//! A full disk: a tiny file system of its own, if the machine allows us to mount one.

use std::fs;
use std::path::Path;
use std::process::Command;

use reapply_sync::room::Note;

use super::{LogWriter, open, prove, room_with};
use crate::conformance::Shared;
use crate::sqlite::schema::DATABASE_FILE;
use crate::{Appended, JournalError, NewRoom};

/// A mounted tmpfs, until it is dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn new(path: &'a Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_fails_appends_and_nothing_else_and_they_go_on_when_there_is_room() {
    let root = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::new(root.path(), "24m") else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    let journal = open(root.path());
    let mut log = room_with(&journal, "lobby", &[1]).await;
    let ballast = root.path().join("ballast");
    let _ = fs::write(&ballast, vec![1; 24 << 20]);

    let (stored, error) = fill(&journal, &mut log).await;
    let JournalError::Storage(text) = &error else { panic!("{error}") };
    assert!(text.contains("full"), "{text}");
    assert_eq!(
        prove(&journal, log.room()).await,
        (stored.head, stored.chain),
        "what was acknowledged is there, and no more"
    );

    fs::remove_file(&ballast).unwrap();
    let mut log = stored;
    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
    drop(journal);
    let journal = open(root.path());
    assert_eq!(prove(&journal, log.room()).await, (log.head, log.chain));
}

#[tokio::test]
async fn a_snapshot_that_does_not_fit_leaves_the_disk_to_the_records() {
    let root = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::new(root.path(), "48m") else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    let journal = open(root.path());
    let mut log = room_with(&journal, "lobby", &[1]).await;
    let chunks = || {
        let connection = rusqlite::Connection::open(root.path().join(DATABASE_FILE)).unwrap();
        connection.query_row("SELECT count(*) FROM chunks", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let error = journal.put_snapshot(log.room(), log.snapshot(&vec![7; 60 << 20])).await.unwrap_err();
    let JournalError::Storage(text) = &error else { panic!("{error}") };
    assert!(text.contains("no space for the"), "{text}");
    assert_eq!(journal.snapshots(log.room()).await, Ok(Vec::new()));
    assert_eq!(chunks(), 0, "none of it is written");
    assert_eq!(log.append(&journal, 4000).await, Appended::Committed);
    journal.put_snapshot(log.room(), log.snapshot(&vec![7; 4 << 20])).await.unwrap();
    assert_eq!(chunks(), 4);
    drop(journal);
    let journal = open(root.path());
    assert_eq!(prove(&journal, log.room()).await, (log.head, log.chain));
    assert_eq!(journal.snapshots(log.room()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_backup_looks_for_room_first_and_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::new(root.path(), "48m") else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path());
    room_with(&journal, "lobby", &[1]).await;
    let error = journal.backup(&root.path().join("copy")).await.unwrap_err();
    let JournalError::Storage(text) = &error else { panic!("{error}") };
    assert!(text.contains("are free") && text.contains("--scratch DIR"), "{text}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    journal.backup(&data.path().join("copy")).await.unwrap();
}

#[tokio::test]
async fn a_journal_opens_on_a_full_disk_and_removes_what_a_crash_left_once_there_is_room() {
    let root = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::new(root.path(), "24m") else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    let journal = open(root.path());
    let mut log = room_with(&journal, "lobby", &[1]).await;
    let staged = LogWriter::new("counter", "staged").genesis;
    let room = staged.room.clone();
    journal.create_room(NewRoom { staged: true, ..NewRoom::of(staged.clone()) }).await.unwrap();
    let mut left = LogWriter::new("counter", "staged");
    let appends: Vec<_> = (0..4_000).map(|_| journal.append(&room, left.next(1), Note::default())).collect();
    for append in appends {
        assert_eq!(append.await, Appended::Committed);
    }
    drop(journal);
    let ballast = root.path().join("ballast");
    let _ = fs::write(&ballast, vec![1; 24 << 20]);
    // As much as SQLite takes to open it at all.
    let file = fs::OpenOptions::new().write(true).open(&ballast).unwrap();
    file.set_len(file.metadata().unwrap().len() - (64 << 10)).unwrap();
    drop(file);

    let journal = open(root.path());
    assert_eq!(prove(&journal, log.room()).await, (log.head, log.chain));
    let fresh = || NewRoom::of(staged.clone());
    let refused = journal.create_room(fresh()).await.unwrap_err();
    assert!(matches!(refused, JournalError::Storage(_) | JournalError::RoomStaged(_)), "{refused}");
    fs::remove_file(&ballast).unwrap();
    // A portion of it goes with each commit.
    while journal.create_room(fresh()).await == Err(JournalError::RoomStaged(room.clone())) {
        assert_eq!(log.append(&journal, 1).await, Appended::Committed);
    }
    assert_eq!(journal.room(&room).await.unwrap().unwrap().head.0, 0);
}

/// Appends until an append fails. Returns the log as it was stored, and the error.
async fn fill(journal: &Shared, log: &mut LogWriter) -> (LogWriter, JournalError) {
    loop {
        let stored = log.clone();
        match log.append(journal, 4000).await {
            Appended::Committed => {}
            Appended::Failed(error) => return (stored, error),
            other => panic!("{other:?}"),
        }
    }
}
