//! Logs whose beginning is no longer kept.

use reapply_sync::room::Note;
use reapply_sync::{Digest, LogId, Seq, Snapshot};

use super::{LogWriter, Shared, prove, room_with};
use crate::{Appended, Base, JournalError, NewRoom, Record, RoomRecord};

pub async fn a_log_may_begin_after_its_first_event(journal: Shared) {
    let mut log = LogWriter::new("counter", "lobby");
    let _ = log.next(7);
    let base = Base::from(&log);
    let (room, genesis) = (log.room().clone(), log.genesis.clone());
    let new = NewRoom {
        room: room.clone(),
        genesis,
        log: LogId([1; 16]),
        base: Some(base.clone()),
        note: Note::default(),
        staged: true,
    };
    journal.create_room(new).await.unwrap();
    let missing = JournalError::SnapshotMissing { room: room.clone(), seq: Seq(7) };
    assert_eq!(journal.publish(&room).await, Err(missing));
    let mut foreign = log.snapshot(b"state");
    foreign.digest = Digest::of(b"another build");
    let mismatch = JournalError::SnapshotMismatch { room: room.clone(), seq: Seq(7) };
    assert_eq!(journal.put_snapshot(&room, foreign).await, Err(mismatch));
    journal.put_snapshot(&room, log.snapshot(b"state")).await.unwrap();
    journal.publish(&room).await.unwrap();

    let record = journal.room(&room).await.unwrap().unwrap();
    assert_eq!((record.head, record.chain, record.digest), (base.seq, base.chain, base.digest));
    assert_eq!((record.time, record.base, record.batch), (base.time, Some(base), None));
    assert_eq!(log.append(&journal, 2).await, Appended::Committed);
    assert_eq!(prove(&journal, &room).await, (Seq(9), log.chain));
    let trimmed = JournalError::Trimmed { room: room.clone(), begins: Seq(7) };
    assert_eq!(journal.read(&room, Seq(6), 1).await, Err(trimmed));
    let early = LogWriter::new("counter", "lobby").next(1);
    assert_eq!(journal.append(&room, early, Note::default()).await, Appended::Conflict { head: Seq(9) });
}

pub async fn a_room_that_is_held_is_not_trimmed(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[3]).await;
    journal.put_snapshot(log.room(), log.snapshot(b"state")).await.unwrap();
    let (room, start) = (log.room().clone(), log.clone());
    assert_eq!(log.append(&journal, 2).await, Appended::Committed);
    let (first, second) = (journal.hold(&room).await.unwrap(), journal.hold(&room).await.unwrap());
    for hold in [first, second] {
        let refused = journal.trim(&room, start.head).await.unwrap_err();
        assert!(matches!(refused, JournalError::NotTrimmable { .. }), "{refused}");
        assert_eq!(journal.read(&room, Seq(0), usize::MAX).await.unwrap().len(), 2);
        drop(hold);
    }
    journal.trim(&room, start.head).await.unwrap();
    let trimmed = JournalError::Trimmed { room: room.clone(), begins: start.head };
    assert_eq!(journal.read(&room, Seq(0), 1).await, Err(trimmed));
}

pub async fn a_trimmed_log_begins_at_its_snapshot(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[3]).await;
    let other = room_with(&journal, "other", &[1, 1, 1]).await;
    journal.put_snapshot(log.room(), log.snapshot(b"first")).await.unwrap();
    // More records than are removed at once.
    let appends: Vec<_> = (0..1_300).map(|_| log.append(&journal, 2)).collect();
    for append in appends {
        assert_eq!(append.await, Appended::Committed);
    }
    let base = log.clone();
    journal.put_snapshot(log.room(), log.snapshot(b"second")).await.unwrap();
    for count in [1, 4] {
        assert_eq!(log.append(&journal, count).await, Appended::Committed);
    }
    journal.put_snapshot(log.room(), log.snapshot(b"third")).await.unwrap();
    let before = journal.room(log.room()).await.unwrap().unwrap();
    for _ in 0..2 {
        journal.trim(log.room(), base.head).await.unwrap();
        let after = journal.room(log.room()).await.unwrap().unwrap();
        assert_eq!(after.base, Some(Base::from(&base)));
        assert_eq!(after.start(), (base.head, base.chain));
        assert_eq!(RoomRecord { base: None, ..after }, before);
    }
    assert_eq!(prove(&journal, log.room()).await, (log.head, log.chain));
    let trimmed = JournalError::Trimmed { room: log.room().clone(), begins: base.head };
    for after in [0, 3, base.head.0 - 1] {
        assert_eq!(journal.read(log.room(), Seq(after), 1).await, Err(trimmed.clone()));
    }
    let seqs = journal.snapshots(log.room()).await.unwrap().into_iter().map(|snapshot| snapshot.seq);
    assert_eq!(seqs.collect::<Vec<_>>(), [base.head, log.head]);
    assert_eq!(journal.snapshot(log.room(), Some(Seq(base.head.0 - 1))).await, Ok(None));
    assert_eq!(journal.snapshot(log.room(), Some(base.head)).await.unwrap(), Some(base.snapshot(b"second")));
    // Within the first remaining batch, the journal still finds the chain.
    assert_eq!(log.append(&journal, 2).await, Appended::Committed);
    let upto = Seq(log.head.0 - 2);
    journal.trim(log.room(), upto).await.unwrap();
    let mut within =
        LogWriter { head: upto, chain: journal.room(log.room()).await.unwrap().unwrap().start().1, ..log.clone() };
    let _ = within.next(1);
    journal.put_snapshot(log.room(), within.snapshot(b"within")).await.unwrap();
    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
    assert_eq!(prove(&journal, log.room()).await, (log.head, log.chain));
    assert_eq!(prove(&journal, other.room()).await, (Seq(3), other.chain), "other rooms keep theirs");
}

pub async fn a_log_is_trimmed_only_where_a_snapshot_and_a_record_meet(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[2, 4]).await;
    journal.put_snapshot(log.room(), log.snapshot(b"at the head")).await.unwrap();
    let mut within = LogWriter { head: Seq(0), chain: log.genesis.chain(), ..log.clone() };
    let _ = within.next(3);
    journal.put_snapshot(log.room(), within.snapshot(b"within a record")).await.unwrap();
    let refused = async |upto| journal.trim(log.room(), Seq(upto)).await.unwrap_err();
    let missing = JournalError::SnapshotMissing { room: log.room().clone(), seq: Seq(2) };
    assert_eq!(refused(2).await, missing);
    for upto in [1, 3, 6, 7, u64::MAX >> 1] {
        let error = refused(upto).await;
        assert!(matches!(error, JournalError::NotTrimmable { .. }), "{upto}: {error}");
    }
    let nobody = LogWriter::new("counter", "nobody").room().clone();
    assert_eq!(journal.trim(&nobody, Seq(2)).await, Err(JournalError::NoSuchRoom(nobody)));
    assert_eq!(prove(&journal, log.room()).await, (Seq(6), log.chain), "nothing is lost");
    assert_eq!(journal.snapshots(log.room()).await.unwrap().len(), 2);

    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
    journal.trim(log.room(), Seq(6)).await.unwrap();
    for upto in [0, 2, 5] {
        let error = journal.trim(log.room(), Seq(upto)).await.unwrap_err();
        assert!(error.to_string().contains("begins after that already"), "{upto}: {error}");
    }
}

pub async fn a_room_runs_the_build_of_its_last_upgrade(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[2]).await;
    let digest = async |log: &LogWriter| journal.room(log.room()).await.unwrap().unwrap().digest;
    assert_eq!(digest(&log).await, log.genesis.digest);
    let before = log.clone();
    for build in [b"second".as_slice(), b"third"] {
        let record = log.upgrade(Digest::of(build));
        assert_eq!(journal.append(log.room(), record.clone(), Note::default()).await, Appended::Committed);
        assert_eq!(journal.read(log.room(), record.expected, 0).await, Ok(vec![record]));
        assert_eq!(digest(&log).await, Digest::of(build));
        assert_eq!(journal.builds(&log.room().machine).await, Ok(vec![(Digest::of(build), 1)]));
        let former = Snapshot { digest: before.digest, ..log.snapshot(b"state") };
        let mismatch = JournalError::SnapshotMismatch { room: log.room().clone(), seq: log.head };
        assert_eq!(journal.put_snapshot(log.room(), former).await, Err(mismatch));
        journal.put_snapshot(log.room(), log.snapshot(b"state")).await.unwrap();
        assert_eq!(log.append(&journal, 2).await, Appended::Committed);
    }
    journal.put_snapshot(log.room(), before.snapshot(b"before all upgrades")).await.unwrap();
    let found = journal.snapshots(log.room()).await.unwrap();
    let builds: Vec<_> = found.iter().map(|snapshot| (snapshot.seq.0, snapshot.digest)).collect();
    assert_eq!(builds, [(2, before.digest), (3, Digest::of(b"second")), (6, Digest::of(b"third"))]);
    let (first, second, third) = (before.digest, Digest::of(b"second"), Digest::of(b"third"));
    for (seq, build) in [(0, first), (2, first), (3, second), (5, second), (6, third), (8, third)] {
        assert_eq!(journal.build_at(log.room(), Seq(seq)).await, Ok(build), "{seq}");
    }
    for upto in [3, 6] {
        journal.trim(log.room(), Seq(upto)).await.unwrap();
        let trimmed = JournalError::Trimmed { room: log.room().clone(), begins: Seq(upto) };
        assert_eq!(journal.build_at(log.room(), Seq(upto - 1)).await, Err(trimmed));
        assert_eq!(journal.build_at(log.room(), Seq(upto)).await, Ok(if upto == 3 { second } else { third }));
        let record = journal.room(log.room()).await.unwrap().unwrap();
        assert_eq!(record.digest, Digest::of(b"third"), "what was trimmed keeps its effect");
        assert_eq!(record.base.unwrap().digest, Digest::of(if upto == 3 { b"second" } else { b"third".as_slice() }));
    }
    assert_eq!(prove(&journal, log.room()).await, (Seq(8), log.chain));

    // A record's own fields must agree with its event.
    let chain = log.chain;
    let record = log.upgrade(Digest::of(b"fourth"));
    assert!(record.decode(chain).is_ok());
    for upgrade in [None, Some(Digest::of(b"fifth"))] {
        let damage = Record { upgrade, ..record.clone() }.decode(chain).unwrap_err();
        assert!(damage.what.contains("upgrades to"), "{damage}");
    }
}
