//! The last snapshots of rooms that end: when they are taken and tried, and how long a room waits for that.

use std::sync::Arc;

use reapply_sync::room::limits::{LAST_TRIAL_MICROS_MAX, PRESENCE_INTERVAL_MICROS};
use reapply_sync::{
    Author, Batch, ClientKey, Goodbye, Hello, Input, Limits, SessionId, Snapshot, SnapshotPolicy, Tried,
};

use crate::trials::{KEY, Owner, every, too_deep, trying};

/// Makes the room sleep. Returns the snapshot that it stored for that.
fn sleep(owner: &mut Owner) -> Option<Arc<Snapshot>> {
    let stored = owner.stored.len();
    owner.with(|room, now| room.handle_leave(SessionId(1), now));
    owner.perform();
    if owner.appending.is_some() {
        owner.append(true);
    }
    owner.stop();
    if owner.on_trial.is_some() {
        assert!(!owner.is_asleep(), "it sleeps over the trial of its snapshot");
        owner.tell_tried(Tried::Restored);
        assert_eq!(owner.stored.len(), stored, "it is stored before its checkpoint");
        owner.append(true);
    }
    assert!(owner.is_asleep());
    (owner.stored.len() > stored).then(|| Arc::clone(owner.stored.last().unwrap()))
}

/// Changes a room a little and makes it sleep, this many times. Returns the numbers of its snapshots and of its checkpoints.
fn restless(policy: SnapshotPolicy, limits: Limits, rounds: usize) -> (usize, usize) {
    let (mut log, mut newest, mut snapshots) = (Vec::new(), None, 0);
    for _ in 0..rounds {
        let mut owner = Owner::open(policy, limits, newest.clone(), log);
        owner.submit_all(2, &Tried::Restored);
        sleep(&mut owner);
        snapshots += owner.stored.len();
        newest = owner.stored.last().map(|snapshot| (**snapshot).clone()).or(newest);
        log = owner.log;
    }
    let events = log.iter().flat_map(|batch| &batch.events);
    (snapshots, events.filter(|event| matches!(event.input, Input::Checkpoint { .. })).count())
}

#[test]
fn a_room_that_sleeps_again_and_again_takes_snapshots_as_its_log_grows() {
    assert_eq!(restless(SnapshotPolicy::default(), Limits::default(), 100), (0, 0));
    // The policy asks for snapshots, however often the room sleeps.
    let (snapshots, checkpoints) = restless(every(50), Limits::default(), 100);
    assert!((3..=8).contains(&snapshots) && checkpoints == snapshots, "{snapshots} {checkpoints}");
    // The bytes of the log ask for snapshots as well: events here have more bytes than they add to the state.
    let narrow = Limits { sleep_tail_bytes_min: 100, ..Limits::default() };
    let (snapshots, checkpoints) = restless(SnapshotPolicy::default(), narrow, 100);
    assert!((3..=20).contains(&snapshots) && checkpoints == snapshots, "{snapshots} {checkpoints}");
}

#[test]
fn a_room_falls_asleep_though_its_last_snapshot_fails() {
    let narrow = Limits { sleep_tail_bytes_min: 100, ..Limits::default() };
    for is_restored in [true, false] {
        let mut owner = Owner::new(SnapshotPolicy::default(), narrow);
        owner.submit_all(20, &Tried::Restored);
        owner.stop();
        assert!(!owner.is_asleep());
        if is_restored {
            owner.tell_tried(Tried::Restored);
            owner.append(false);
        } else {
            owner.append(true);
            owner.tell_tried(too_deep());
        }
        assert!(owner.is_asleep() && owner.stored.is_empty());
        assert_eq!(owner.reports.len(), usize::from(!is_restored), "{:?}", owner.reports);
    }
}

/// Returns a room with one session whose log has outgrown its snapshot.
fn outgrown() -> Owner {
    let mut owner = Owner::new(SnapshotPolicy::default(), Limits { sleep_tail_bytes_min: 100, ..Limits::default() });
    owner.submit_all(20, &Tried::Restored);
    assert_eq!(owner.trials, 0);
    owner
}

#[test]
fn sessions_of_a_room_that_ends_do_not_wait_for_the_trial_of_its_last_snapshot() {
    let mut owner = outgrown();
    owner.stop();
    assert!(owner.on_trial.is_some() && !owner.is_asleep());
    assert_eq!(owner.ended, [Goodbye::ShuttingDown]);
    // Nobody has left by that: the log says so when the room wakes.
    owner.wait(PRESENCE_INTERVAL_MICROS);
    owner.append(true);
    owner.tell_tried(Tried::Restored);
    assert!(owner.noted.is_some_and(|note| note.is_occupied), "{:?}", owner.noted);
    assert_eq!((owner.stored.len(), owner.ended.len()), (1, 1));
    let left = owner.log.iter().flat_map(|batch| &batch.events).filter(|event| matches!(event.input, Input::Left(_)));
    assert_eq!(left.count(), 0);
}

#[test]
fn the_last_snapshot_forgets_no_client_whose_session_was_ended_for_it() {
    let limits = Limits { sleep_tail_bytes_min: 100, client_remembered_micros: 1_000, ..Limits::default() };
    let mut owner = Owner::new(SnapshotPolicy::default(), limits);
    owner.submit_all(20, &Tried::Restored);
    // The client is silent for longer than a room remembers one that has no session.
    owner.ticks += 2_000;
    let hello = Hello::new(ClientKey([2; 16]), None);
    owner.with(|room, now| room.handle_enter(SessionId(2), &hello, Author("b".into()), now)).unwrap();
    owner.perform();
    owner.append(true);
    owner.stop();
    owner.append(true);
    owner.tell_tried(Tried::Restored);
    let known: Vec<_> = owner.stored[0].clients.iter().map(|known| known.client).collect();
    assert_eq!((known, owner.ended.len()), (vec![KEY.client_id()], 2));
}

#[test]
fn a_room_that_ends_gives_a_snapshot_up_whose_trial_takes_too_long() {
    for is_bound in [true, false] {
        let mut owner = outgrown();
        owner.stop();
        if is_bound {
            owner.append(true);
        }
        assert!(owner.wakes_at().is_some_and(|at| at <= LAST_TRIAL_MICROS_MAX), "{:?}", owner.wakes_at());
        owner.wait(LAST_TRIAL_MICROS_MAX - 1);
        assert!(!owner.is_asleep());
        owner.wait(1);
        assert_eq!(owner.is_asleep(), is_bound, "it sleeps over an event");
        if !is_bound {
            assert_eq!(owner.wakes_at(), None, "it wakes again and again until the journal has answered");
            owner.append(true);
        }
        assert!(owner.is_asleep() && owner.stored.is_empty() && owner.reports.is_empty());
    }
}

#[test]
fn a_room_that_ends_makes_a_trial_once_more_that_could_not_be_made() {
    for tried in [Tried::Restored, Tried::NotTried] {
        let mut owner = trying();
        owner.append(true);
        owner.tell_tried(Tried::NotTried);
        owner.stop();
        assert!(!owner.is_asleep());
        owner.tell_tried(tried.clone());
        assert!(owner.is_asleep() && owner.reports.is_empty());
        assert_eq!(owner.stored.len(), usize::from(tried == Tried::Restored));
    }
}

#[test]
fn a_room_that_ends_during_a_trial_takes_its_last_snapshot_after_it() {
    let mut owner = trying();
    owner.append(true);
    let earlier = owner.on_trial.as_ref().unwrap().seq;
    for _ in 0..8 {
        owner.submit();
    }
    owner.stop();
    assert_eq!(owner.on_trial.as_ref().unwrap().seq, earlier);
    owner.tell_tried(Tried::Restored);
    let last = owner.on_trial.as_ref().expect("the last snapshot is tried").seq;
    assert!(last > earlier && !owner.is_asleep());
    owner.tell_tried(Tried::Restored);
    while owner.appending.is_some() {
        owner.append(true);
    }
    assert!(owner.is_asleep());
    assert_eq!(owner.base(), last);
}

/// Wakes a room and makes it sleep, this many times. Each trial has the outcome `tried`. Returns the room's log.
fn wake_and_sleep(mut log: Vec<Batch>, rounds: usize, tried: &Tried) -> Vec<Batch> {
    for _ in 0..rounds {
        let narrow = Limits { sleep_tail_bytes_min: 100, ..Limits::default() };
        let mut owner = Owner::open_idle(every(4), narrow, None, log);
        owner.stop();
        while !owner.is_asleep() {
            if owner.on_trial.is_some() {
                owner.tell_tried(tried.clone());
            } else {
                owner.append(true);
            }
        }
        log = owner.log;
    }
    log
}

#[test]
fn a_log_does_not_grow_from_waking_while_its_state_cannot_be_restored() {
    let mut owner = outgrown();
    owner.with(|room, now| room.handle_leave(SessionId(1), now));
    owner.perform();
    owner.append(true);
    let events = |log: &[Batch]| log.iter().map(|batch| batch.events.len()).sum::<usize>();
    let log = wake_and_sleep(owner.log, 1, &too_deep());
    let head = events(&log);
    let log = wake_and_sleep(log, 5, &too_deep());
    assert_eq!(events(&log), head);
    // The next one that is restored has its checkpoint.
    let log = wake_and_sleep(log, 1, &Tried::Restored);
    assert_eq!(events(&log), head + 1);
}
