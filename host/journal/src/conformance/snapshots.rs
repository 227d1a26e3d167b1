//! Snapshots.

use reapply_sync::room::Note;
use reapply_sync::{Chain, Digest, Seq, Snapshot};

use super::{LogWriter, Shared, room_with};
use crate::{Appended, JournalError, OpeningBytes, SnapshotRecord};

pub async fn snapshots_are_found_at_or_below_a_seq(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[2]).await;
    assert_eq!(journal.snapshot(log.room(), None).await, Ok(None));
    let first = log.snapshot(b"first");
    journal.put_snapshot(log.room(), first.clone()).await.unwrap();
    journal.put_snapshot(log.room(), first.clone()).await.unwrap();
    // A snapshot may be within a batch: the journal finds the chain there.
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

    let records = journal.snapshots(log.room()).await.unwrap();
    let listed = [(2, b"first".as_slice()), (5, b"second")].map(|(seq, state)| {
        let (bytes, hash) = (state.len() as u64, Digest::of(state));
        SnapshotRecord { seq: Seq(seq), digest: log.digest, bytes, hash }
    });
    assert_eq!(records, listed);
}

pub async fn snapshots_of_another_log_are_refused(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[2, 4]).await;
    let good = log.snapshot(b"state");
    let mut forged = good.clone();
    forged.chain = Chain([1; 32]);
    let mut forged_within = forged.clone();
    forged_within.seq = Seq(3);
    let _ = log.next(1);
    let ahead = log.snapshot(b"state");
    let foreign_build = Snapshot { digest: Digest::of(b"another build"), ..good };
    for snapshot in [forged, forged_within, ahead, foreign_build] {
        let mismatch = JournalError::SnapshotMismatch { room: log.room().clone(), seq: snapshot.seq };
        assert_eq!(journal.put_snapshot(log.room(), snapshot).await, Err(mismatch));
    }
    assert_eq!(journal.snapshot(log.room(), None).await, Ok(None));
}

pub async fn the_bytes_that_a_room_is_opened_from_are_known(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[]).await;
    assert_eq!(journal.opening_bytes(log.room()).await, Ok(OpeningBytes::default()));
    let mut bytes = Vec::new();
    for _ in 0..3 {
        let record = log.next(2);
        bytes.push(record.body.len() as u64);
        assert_eq!(journal.append(log.room(), record, Note::default()).await, Appended::Committed);
    }
    let all = OpeningBytes { snapshot: 0, tail: bytes.iter().sum() };
    assert_eq!(journal.opening_bytes(log.room()).await, Ok(all));
    journal.put_snapshot(log.room(), log.snapshot(b"state")).await.unwrap();
    assert_eq!(journal.opening_bytes(log.room()).await, Ok(OpeningBytes { snapshot: 5, tail: 0 }));
    let mut within = log.clone();
    let _ = within.next(1);
    let record = log.next(3);
    let tail = record.body.len() as u64;
    assert_eq!(journal.append(log.room(), record, Note::default()).await, Appended::Committed);
    // A snapshot may be within a batch, all of which is read.
    journal.put_snapshot(log.room(), within.snapshot(b"another state")).await.unwrap();
    assert_eq!(journal.opening_bytes(log.room()).await, Ok(OpeningBytes { snapshot: 13, tail }));
    let nobody = LogWriter::new("counter", "nobody");
    let missing = JournalError::NoSuchRoom(nobody.room().clone());
    assert_eq!(journal.opening_bytes(nobody.room()).await, Err(missing));
}

pub async fn a_large_snapshot_reads_back(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[1]).await;
    // Around the sizes at which an engine may cut it into pieces.
    for bytes in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20] {
        let state: Vec<u8> = (0..bytes).map(|index| (index % 251) as u8 ^ (index >> 12) as u8).collect();
        let snapshot = log.snapshot(&state);
        // Two at once, as when a room takes one and goes to sleep.
        let puts = [snapshot.clone(), snapshot.clone()].map(|snapshot| journal.put_snapshot(log.room(), snapshot));
        for put in futures_util::future::join_all(puts).await {
            put.unwrap();
        }
        let found = journal.snapshot(log.room(), None).await.unwrap().unwrap();
        assert!(found == snapshot, "{bytes} bytes");
        let listed = journal.snapshots(log.room()).await.unwrap();
        assert_eq!(listed.last().map(|record| (record.seq, record.bytes)), Some((log.head, bytes as u64)));
        // Records are stored while a snapshot is being written.
        let put = journal.put_snapshot(log.room(), snapshot);
        assert_eq!(log.append(&journal, 1).await, Appended::Committed);
        put.await.unwrap();
    }
    let nobody = LogWriter::new("counter", "nobody");
    let missing = JournalError::NoSuchRoom(nobody.room().clone());
    assert_eq!(journal.put_snapshot(nobody.room(), nobody.snapshot(b"x")).await, Err(missing.clone()));
    assert_eq!(journal.snapshots(nobody.room()).await, Err(missing));
}
