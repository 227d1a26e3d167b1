//! Rooms, staged and published; their alarms and rejections.

use reapply_sync::room::Note;
use reapply_sync::{Author, LogId, RoomId, Seq, Timestamp};

use super::{LogWriter, Shared, alarm, prove, prove_from, room_with};
use crate::{Appended, JournalError, NewRoom, RejectionCount};

pub async fn rooms_are_begun_once_and_listed(journal: Shared) {
    let mut nobody = LogWriter::new("counter", "nowhere");
    let missing = JournalError::NoSuchRoom(nobody.room().clone());
    assert_eq!(journal.room(nobody.room()).await, Ok(None));
    assert_eq!(journal.read(nobody.room(), Seq(0), 1).await, Err(missing.clone()));
    assert_eq!(journal.snapshot(nobody.room(), None).await, Err(missing.clone()));
    assert_eq!(
        journal.append(&nobody.room().clone(), nobody.next(1), Note::default()).await,
        Appended::Failed(missing)
    );

    let beta = room_with(&journal, "beta", &[4]).await;
    let alpha = room_with(&journal, "alpha", &[]).await;
    let other = LogWriter::new("board", "alpha");
    journal.create_room(NewRoom::of(other.genesis.clone())).await.unwrap();
    let again = journal.create_room(NewRoom::of(beta.genesis.clone())).await;
    assert_eq!(again, Err(JournalError::RoomExists(beta.room().clone())));

    let list = async |machine: Option<&str>, after: Option<&RoomId>, count_max| {
        let machine = machine.map(|name| name.parse().unwrap());
        let rooms = journal.rooms(machine.as_ref(), after, count_max).await.unwrap();
        rooms.into_iter().map(|room| (room.room, room.head.0)).collect::<Vec<_>>()
    };
    let all = [(other.room().clone(), 0), (alpha.room().clone(), 0), (beta.room().clone(), 4)];
    assert_eq!(list(None, None, 10).await, all);
    assert_eq!(list(None, None, 2).await, all[..2]);
    assert_eq!(list(None, Some(alpha.room()), 2).await, all[2..]);
    assert_eq!(list(Some("counter"), None, 10).await, all[1..]);
    assert_eq!(list(Some("nothing"), None, 10).await, []);
    assert_eq!(journal.builds(&beta.room().machine).await, Ok(vec![(beta.genesis.digest, 2)]));
    assert_eq!(journal.builds(&"nothing".parse().unwrap()).await, Ok(vec![]));
}

/// Returns `log` as the log of the room `name`.
fn fork_of(log: &LogWriter, name: &str, staged: bool) -> NewRoom {
    let room = RoomId { machine: log.room().machine.clone(), room: name.parse().unwrap() };
    NewRoom { room, genesis: log.genesis.clone(), log: LogId([4; 16]), base: None, note: Note::default(), staged }
}

pub async fn a_room_may_have_the_genesis_of_another(journal: Shared) {
    let log = room_with(&journal, "lobby", &[2]).await;
    let fork = fork_of(&log, "fork", false);
    journal.create_room(fork.clone()).await.unwrap();
    let mut forked = LogWriter::new("counter", "lobby");
    for count in [1, 2, 3] {
        let record = forked.next(count);
        assert_eq!(journal.append(&fork.room, record, Note::default()).await, Appended::Committed);
    }
    let record = journal.room(&fork.room).await.unwrap().unwrap();
    assert_eq!((&record.room, &record.genesis, record.log), (&fork.room, &log.genesis, fork.log));
    assert_eq!((record.head, record.digest, record.base), (Seq(6), log.genesis.digest, None));
    assert_eq!(prove(&journal, &fork.room).await, (Seq(6), forked.chain));
    assert_eq!(prove(&journal, log.room()).await, (Seq(2), log.chain), "the other one is as it was");
    assert_eq!(journal.room(log.room()).await.unwrap().unwrap().log, NewRoom::of(log.genesis.clone()).log);
    let again = journal.create_room(NewRoom { staged: true, ..fork.clone() }).await;
    assert_eq!(again, Err(JournalError::RoomExists(fork.room)));
}

pub async fn a_staged_room_is_found_when_it_is_published(journal: Shared) {
    let log = room_with(&journal, "lobby", &[2]).await;
    let staged = fork_of(&log, "staged", true);
    let room = staged.room.clone();
    journal.create_room(staged.clone()).await.unwrap();
    let mut fork = LogWriter::new("counter", "lobby");
    let record = fork.next(2);
    assert_eq!(journal.append(&room, record, alarm(Some(5))).await, Appended::Committed);
    let snapshot = fork.snapshot(b"state");
    journal.put_snapshot(&room, snapshot.clone()).await.unwrap();

    assert_eq!(journal.room(&room).await, Ok(None));
    assert_eq!(journal.rooms(None, None, 10).await.unwrap().len(), 1);
    assert_eq!(journal.alarms(10).await, Ok(Vec::new()));
    assert_eq!(prove_from(&journal, &room, (Seq(0), log.genesis.chain())).await, (Seq(2), fork.chain));
    assert_eq!(journal.snapshot(&room, None).await, Ok(Some(snapshot)));
    for again in [staged.clone(), NewRoom { staged: false, ..staged }] {
        assert_eq!(journal.create_room(again).await, Err(JournalError::RoomStaged(room.clone())));
    }

    for _ in 0..2 {
        journal.publish(&room).await.unwrap();
        assert_eq!(prove(&journal, &room).await, (Seq(2), fork.chain));
    }
    assert_eq!(journal.rooms(None, None, 10).await.unwrap().len(), 2);
    assert_eq!(journal.alarms(10).await, Ok(vec![(room.clone(), Timestamp(5))]));
    let record = fork.next(1);
    assert_eq!(journal.append(&room, record, Note::default()).await, Appended::Committed);
    let nobody = LogWriter::new("counter", "nobody").room().clone();
    assert_eq!(journal.publish(&nobody).await, Err(JournalError::NoSuchRoom(nobody)));
}

pub async fn a_staged_room_can_be_discarded_and_no_other(journal: Shared) {
    let mut log = room_with(&journal, "lobby", &[2]).await;
    assert_eq!(journal.discard(log.room()).await, Err(JournalError::NotStaged(log.room().clone())));
    let staged = fork_of(&log, "staged", true);
    let room = staged.room.clone();
    // Twice, since remains of the first room must not affect the second. It has more records than are removed at once.
    for _ in 0..2 {
        journal.create_room(staged.clone()).await.unwrap();
        let mut fork = LogWriter::new("counter", "lobby");
        let appends: Vec<_> = (0..1_200).map(|_| journal.append(&room, fork.next(1), alarm(Some(9)))).collect();
        for append in appends {
            assert_eq!(append.await, Appended::Committed);
        }
        journal.put_snapshot(&room, fork.snapshot(&[7; 3_000_000])).await.unwrap();
        journal.discard(&room).await.unwrap();
        let missing = JournalError::NoSuchRoom(room.clone());
        assert_eq!(journal.read(&room, Seq(0), 1).await, Err(missing.clone()));
        assert_eq!(journal.snapshots(&room).await, Err(missing.clone()));
        assert_eq!(journal.append(&room, fork.next(1), Note::default()).await, Appended::Failed(missing.clone()));
        assert_eq!(journal.discard(&room).await, Err(missing));
    }
    assert_eq!(log.append(&journal, 1).await, Appended::Committed);
    assert_eq!(prove(&journal, log.room()).await, (Seq(3), log.chain));
}

pub async fn alarms_are_kept_with_the_records_that_set_them(journal: Shared) {
    let mut alpha = room_with(&journal, "alpha", &[1]).await;
    let mut beta = room_with(&journal, "beta", &[]).await;
    assert_eq!(journal.alarms(10).await, Ok(Vec::new()));
    let append = async |log: &mut LogWriter, due: Option<u64>| {
        let record = log.next(1);
        assert_eq!(journal.append(log.room(), record, alarm(due)).await, Appended::Committed);
        assert_eq!(journal.room(log.room()).await.unwrap().unwrap().note, alarm(due));
    };
    let list = async |count_max| {
        let alarms = journal.alarms(count_max).await.unwrap();
        alarms.into_iter().map(|(room, due)| (room.room.to_string(), due.0)).collect::<Vec<_>>()
    };
    let entry = |name: &str, due| (name.to_owned(), due);
    append(&mut alpha, Some(70)).await;
    append(&mut alpha, Some(70)).await;
    append(&mut beta, Some(50)).await;
    assert_eq!(list(10).await, [entry("beta", 50), entry("alpha", 70)]);
    assert_eq!(list(1).await, [entry("beta", 50)]);
    append(&mut beta, Some(90)).await;
    assert_eq!(list(10).await, [entry("alpha", 70), entry("beta", 90)]);
    append(&mut alpha, None).await;
    assert_eq!(list(10).await, [entry("beta", 90)]);

    journal.set_note(beta.room(), alarm(None)).await.unwrap();
    journal.set_note(alpha.room(), alarm(Some(20))).await.unwrap();
    assert_eq!(list(10).await, [entry("alpha", 20)]);
    // The next append knows an alarm that was set separately.
    append(&mut alpha, None).await;
    append(&mut beta, Some(90)).await;
    assert_eq!(list(10).await, [entry("beta", 90)]);
    // A record that is not stored sets nothing.
    let mut stale = LogWriter { head: Seq(0), ..beta.clone() };
    stale.genesis.nonce = 8;
    let stale = journal.append(beta.room(), stale.next(1), alarm(Some(1))).await;
    assert!(matches!(stale, Appended::Conflict { .. }), "{stale:?}");
    assert_eq!(list(10).await, [entry("beta", 90)]);
    // A machine may choose any time.
    append(&mut beta, Some(i64::MAX as u64)).await;
    let record = beta.next(1);
    assert_eq!(journal.append(beta.room(), record, alarm(Some(u64::MAX))).await, Appended::Committed);
    assert_eq!(list(10).await, [entry("beta", i64::MAX as u64)]);
    let nobody = LogWriter::new("counter", "nobody").room().clone();
    assert_eq!(journal.set_note(&nobody, alarm(None)).await, Err(JournalError::NoSuchRoom(nobody)));
}

pub async fn a_room_begins_with_the_alarm_of_its_first_state(journal: Shared) {
    let mut log = LogWriter::new("counter", "armed");
    let armed = NewRoom { note: alarm(Some(5)), ..NewRoom::of(log.genesis.clone()) };
    journal.create_room(armed).await.unwrap();
    assert_eq!(journal.alarms(10).await, Ok(vec![(log.room().clone(), Timestamp(5))]));
    assert_eq!(journal.room(log.room()).await.unwrap().unwrap().note, alarm(Some(5)));
    // Its first events know of it.
    let record = log.next(1);
    assert_eq!(journal.append(log.room(), record, Note::default()).await, Appended::Committed);
    assert_eq!(journal.alarms(10).await, Ok(vec![]));
}

pub async fn rooms_where_somebody_is_present_are_noted(journal: Shared) {
    let mut alpha = room_with(&journal, "alpha", &[1]).await;
    let mut beta = room_with(&journal, "beta", &[]).await;
    let append = async |log: &mut LogWriter, is_occupied: bool| {
        let (record, note) = (log.next(1), Note { alarm: Some(Timestamp(70)), is_occupied });
        assert_eq!(journal.append(log.room(), record, note).await, Appended::Committed);
        assert_eq!(journal.room(log.room()).await.unwrap().unwrap().note, note);
    };
    let list = async |after: Option<RoomId>, count_max| journal.occupied(after.as_ref(), count_max).await.unwrap();
    assert_eq!(list(None, 10).await, []);
    append(&mut beta, true).await;
    append(&mut alpha, true).await;
    append(&mut alpha, true).await;
    assert_eq!(list(None, 10).await, [alpha.room().clone(), beta.room().clone()]);
    assert_eq!(list(None, 1).await, [alpha.room().clone()]);
    assert_eq!(list(Some(alpha.room().clone()), 10).await, [beta.room().clone()]);
    append(&mut alpha, false).await;
    assert_eq!(list(None, 10).await, [beta.room().clone()]);
    // A record that is not stored notes nothing.
    let mut stale = LogWriter { head: Seq(0), ..alpha.clone() };
    stale.genesis.nonce = 8;
    let stale = journal.append(alpha.room(), stale.next(1), Note { is_occupied: true, ..Note::default() }).await;
    assert!(matches!(stale, Appended::Conflict { .. }), "{stale:?}");
    assert_eq!(list(None, 10).await, [beta.room().clone()]);
    journal.set_note(beta.room(), alarm(Some(70))).await.unwrap();
    assert_eq!(list(None, 10).await, []);
    // The next append knows a note that was set separately.
    append(&mut beta, true).await;
    assert_eq!(list(None, 10).await, [beta.room().clone()]);
    // A room that is not published yet is not listed.
    let copy = LogWriter::new("counter", "copy");
    let note = Note { is_occupied: true, ..Note::default() };
    journal.create_room(NewRoom { note, staged: true, ..NewRoom::of(copy.genesis.clone()) }).await.unwrap();
    assert_eq!(list(None, 10).await, [beta.room().clone()]);
    journal.publish(copy.room()).await.unwrap();
    assert_eq!(list(None, 10).await, [beta.room().clone(), copy.room().clone()]);
}

fn rejected(author: &str, kind: &str, count: u64, last: u64) -> RejectionCount {
    RejectionCount { author: Author(author.into()), kind: kind.to_owned(), count, last: Timestamp(last) }
}

pub async fn rejections_are_counted_by_author_and_kind(journal: Shared) {
    let alpha = room_with(&journal, "alpha", &[]).await;
    let beta = room_with(&journal, "beta", &[]).await;
    assert_eq!(journal.rejections(alpha.room()).await, Ok(Vec::new()));
    let first = vec![rejected("zoe", "conflict", 2, 40), rejected("ada", "malformed", 1, 30)];
    let second = vec![rejected("zoe", "conflict", 5, 50), rejected("zoe", "too-fast", 1, 50)];
    journal.count_rejections(alpha.room(), first).await.unwrap();
    journal.count_rejections(alpha.room(), second).await.unwrap();
    journal.count_rejections(beta.room(), vec![rejected("zoe", "conflict", u64::MAX, 1)]).await.unwrap();
    journal.count_rejections(beta.room(), vec![rejected("zoe", "conflict", 9, 0)]).await.unwrap();
    journal.count_rejections(beta.room(), Vec::new()).await.unwrap();
    let sums =
        [rejected("ada", "malformed", 1, 30), rejected("zoe", "conflict", 7, 50), rejected("zoe", "too-fast", 1, 50)];
    assert_eq!(journal.rejections(alpha.room()).await.unwrap(), sums);
    assert_eq!(journal.rejections(beta.room()).await.unwrap(), [rejected("zoe", "conflict", i64::MAX as u64, 1)]);
    let nobody = LogWriter::new("counter", "nobody").room().clone();
    let missing = JournalError::NoSuchRoom(nobody.clone());
    assert_eq!(journal.rejections(&nobody).await, Err(missing.clone()));
    assert_eq!(journal.count_rejections(&nobody, Vec::new()).await, Err(missing));
}

pub async fn rejections_have_a_bound(journal: Shared) {
    let log = room_with(&journal, "lobby", &[]).await;
    let other = room_with(&journal, "other", &[]).await;
    journal.count_rejections(other.room(), vec![rejected("old", "conflict", 1, 1)]).await.unwrap();
    for round in 0..4 {
        let counts = (0..500).map(|index| rejected(&format!("author-{round}-{index:03}"), "conflict", 1, 10 + round));
        journal.count_rejections(log.room(), counts.collect()).await.unwrap();
    }
    let kept = journal.rejections(log.room()).await.unwrap();
    assert!(kept.len() < 2_000, "{} counts are kept", kept.len());
    assert!(kept.iter().any(|count| &*count.author.0 == "author-3-000"), "the newest stay");
    assert!(kept.iter().all(|count| !count.author.0.starts_with("author-0")), "the oldest go");
    assert_eq!(journal.rejections(other.room()).await.unwrap().len(), 1);
}
