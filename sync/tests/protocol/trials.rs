//! Snapshots on trial, and before sleep: the snapshots that a room stores, and the one from which it goes on until then.

use std::sync::Arc;

use reapply_sync::room::{Effect, Note, Now, Ticks, Waking};
use reapply_sync::{
    Author, Batch, ClientKey, Fault, Hello, Input, Limits, Number, Rejection, Report, Room, Seq, Sequencer,
    ServerMessage, SessionId, Snapshot, SnapshotPolicy, Timestamp,
};

use crate::tally::{Tally, genesis, transition};

const KEY: ClientKey = ClientKey([1; 16]);

const TOO_DEEP: &str = "its bytes nest too deep";

/// A room with one session, and its owner, who performs effects when the test says so.
struct Owner {
    room: Room<Tally>,
    number: u64,
    appending: Option<Arc<Batch>>,
    on_trial: Option<Arc<Snapshot>>,
    log: Vec<Batch>,
    stored: Vec<Arc<Snapshot>>,
    reports: Vec<Report>,
    rejected: Vec<Rejection>,
    is_asleep: bool,
}

impl Owner {
    fn new(policy: SnapshotPolicy, limits: Limits) -> Self {
        Self::open(policy, limits, None, Vec::new())
    }

    fn open(policy: SnapshotPolicy, limits: Limits, snapshot: Option<Snapshot>, log: Vec<Batch>) -> Self {
        let after = snapshot.as_ref().map_or(Seq(0), |snapshot| snapshot.seq);
        let tail = log.iter().filter(|batch| batch.expected >= after).cloned().collect::<Vec<_>>();
        let build = |_| Ok(Tally::default());
        let opened = Sequencer::open_within(limits, build, genesis().log_id(), genesis(), snapshot, tail);
        let mut sequencer = opened.unwrap();
        sequencer.set_snapshot_policy(policy);
        let waking = Waking { noted: Note::default(), is_used: true, sleep_after_micros: 1_000_000 };
        let room = Room::new(sequencer, waking, &mut now(&mut || 7));
        let (number, appending, on_trial) = (log.len() as u64, None, None);
        let (stored, reports, rejected) = (Vec::new(), Vec::new(), Vec::new());
        let mut owner = Self { room, number, appending, on_trial, log, stored, reports, rejected, is_asleep: false };
        let hello = Hello::new(KEY, None);
        owner.with(|room, now| room.handle_enter(SessionId(1), &hello, Author("a".into()), now)).unwrap();
        owner.perform();
        while owner.appending.is_some() {
            owner.append(true);
        }
        owner
    }

    fn with<T>(&mut self, f: impl FnOnce(&mut Room<Tally>, &mut Now<'_>) -> T) -> T {
        f(&mut self.room, &mut now(&mut || 7))
    }

    fn perform(&mut self) {
        while let Some(effect) = self.with(|room, now| room.poll_effect(now)) {
            match effect {
                Effect::Append { batch, .. } => self.appending = Some(batch),
                Effect::TrySnapshot(snapshot) => self.on_trial = Some(snapshot),
                Effect::StoreSnapshot(snapshot) => self.stored.push(snapshot),
                Effect::Report(report) => self.reports.push(report),
                Effect::Sleep { .. } => self.is_asleep = true,
                Effect::Send { frame, .. } => match ServerMessage::decode(&frame).unwrap() {
                    ServerMessage::Rejected { why, .. } => self.rejected.push(why),
                    other => panic!("{other:?}"),
                },
                _ => {}
            }
        }
    }

    /// Gives the journal's answer.
    fn append(&mut self, is_stored: bool) {
        let batch = self.appending.take().expect("a batch is with the journal");
        if is_stored {
            self.log.push((*batch).clone());
            self.with(|room, now| room.handle_appended(now));
        } else {
            self.with(|room, now| room.handle_append_failed(now));
        }
        self.perform();
    }

    fn tell_tried(&mut self, tried: Result<(), &str>) {
        let snapshot = self.on_trial.take().expect("a snapshot is on trial");
        self.with(|room, _| room.handle_tried(snapshot.seq, tried.map_err(str::to_owned)));
        self.perform();
    }

    /// Submits one transition, and stores its event, but no checkpoint.
    fn submit(&mut self) {
        self.number += 1;
        let number = Number(self.number);
        self.with(|room, now| room.handle_submit(SessionId(1), number, transition(number.0 * 2 + 101), now));
        self.perform();
        if self.appending.is_some() {
            self.append(true);
        }
    }

    /// Submits this many transitions. Tries and stores everything that the room asks for.
    fn submit_all(&mut self, count: usize, tried: Result<(), &str>) {
        for _ in 0..count {
            self.submit();
            if self.on_trial.is_some() {
                self.tell_tried(tried);
            }
            while self.appending.is_some() {
                self.append(true);
            }
        }
    }

    fn stop(&mut self) {
        self.with(|room, _| room.handle_stop());
        self.perform();
    }

    fn base(&self) -> Seq {
        self.room.sequencer().history().base().seq
    }

    /// Returns the seqs whose checkpoints are in the log.
    fn checkpoints(&self) -> Vec<Seq> {
        let events = self.log.iter().flat_map(|batch| &batch.events);
        let of = |input: &Input| if let Input::Checkpoint { seq, .. } = input { Some(*seq) } else { None };
        events.filter_map(|event| of(&event.input)).collect()
    }
}

fn now<'a>(entropy: &'a mut dyn FnMut() -> u64) -> Now<'a> {
    Now { ticks: Ticks(0), time: Timestamp(1_000), entropy }
}

fn every(events: u64) -> SnapshotPolicy {
    SnapshotPolicy { events: Some(events), bytes: None }
}

/// Returns a room whose snapshot was just taken and is on trial, with its checkpoint on the way to the journal.
fn trying() -> Owner {
    let mut owner = Owner::new(every(4), Limits::default());
    while owner.on_trial.is_none() {
        owner.submit();
    }
    assert!(owner.appending.is_some() && owner.stored.is_empty());
    assert_eq!(owner.base(), Seq(0), "the room stands on what nobody has tried");
    owner
}

#[test]
fn a_snapshot_is_stored_once_it_was_restored_and_its_checkpoint_is_durable_in_either_order() {
    for is_tried_first in [true, false] {
        let mut owner = trying();
        let seq = owner.on_trial.as_ref().unwrap().seq;
        for is_trial in [is_tried_first, !is_tried_first] {
            assert!(owner.stored.is_empty(), "it is stored too early");
            assert_eq!(owner.base(), Seq(0));
            if is_trial { owner.tell_tried(Ok(())) } else { owner.append(true) }
        }
        assert_eq!((owner.base(), owner.stored.len(), owner.checkpoints()), (seq, 1, vec![seq]));
        assert!(owner.reports.is_empty());
    }
}

#[test]
fn a_snapshot_that_cannot_be_restored_is_not_stored_and_its_cause_is_told_once() {
    let mut owner = Owner::new(every(4), Limits { overfull_tail_bytes_min: 60_000, ..Limits::default() });
    owner.submit_all(300, Err(TOO_DEEP));
    assert!(owner.checkpoints().len() > 2, "it was tried once only: {:?}", owner.checkpoints());
    assert_eq!(owner.reports, [Report::SnapshotUnrestorable { why: TOO_DEEP.to_owned() }]);
    assert_eq!((owner.base(), owner.stored.len()), (Seq(0), 0));
    // After a fault, the room goes on from the same snapshot as before.
    let view = |machine: &mut Tally| {
        machine.is_broken = true;
        Err::<(), _>(Fault::Trapped("view".to_owned()))
    };
    assert!(owner.with(|room, now| room.show(|machine, _| view(machine), now)).is_err());
    owner.perform();
    let shown = owner.with(|room, now| room.show(|_, state| Ok(state.applied.len()), now));
    assert!(shown.unwrap() >= 300 && !owner.room.sequencer().is_broken());
    // The room ends like one that cannot write its state.
    owner.submit_all(5_000, Err(TOO_DEEP));
    assert!(matches!(owner.rejected.last(), Some(Rejection::Overfull { .. })), "{:?}", owner.rejected.last());
    assert!(matches!(owner.reports.last(), Some(Report::Overfull { .. })), "{:?}", owner.reports);
}

#[test]
fn a_cause_is_told_again_after_a_snapshot_that_succeeded() {
    let mut owner = Owner::new(every(4), Limits::default());
    for round in 1..=2 {
        owner.submit_all(50, Err(TOO_DEEP));
        let told = owner.reports.iter().filter(|report| matches!(report, Report::SnapshotUnrestorable { .. }));
        assert_eq!(told.count(), round);
        owner.submit_all(200, Ok(()));
        assert!(owner.base() > Seq(0));
    }
}

#[test]
fn a_snapshot_whose_checkpoint_is_not_stored_is_given_up() {
    for is_tried_first in [true, false] {
        let mut owner = trying();
        if is_tried_first {
            owner.tell_tried(Ok(()));
        }
        owner.append(false);
        if !is_tried_first {
            owner.tell_tried(Ok(()));
        }
        assert_eq!((owner.base(), owner.stored.len()), (Seq(0), 0));
        // The room takes another snapshot.
        let hello = Hello::new(KEY, None);
        owner.with(|room, now| room.handle_enter(SessionId(1), &hello, Author("a".into()), now)).unwrap();
        owner.submit_all(3, Ok(()));
        assert_eq!(owner.stored.len(), 1);
    }
}

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
        assert!(!owner.is_asleep, "it sleeps over the trial of its snapshot");
        owner.tell_tried(Ok(()));
        assert_eq!(owner.stored.len(), stored, "it is stored before its checkpoint");
        owner.append(true);
    }
    assert!(owner.is_asleep);
    (owner.stored.len() > stored).then(|| Arc::clone(owner.stored.last().unwrap()))
}

/// Changes a room a little and makes it sleep, this many times. Returns the numbers of its snapshots and of its checkpoints.
fn restless(policy: SnapshotPolicy, limits: Limits, rounds: usize) -> (usize, usize) {
    let (mut log, mut newest, mut snapshots) = (Vec::new(), None, 0);
    for _ in 0..rounds {
        let mut owner = Owner::open(policy, limits, newest.clone(), log);
        owner.submit_all(2, Ok(()));
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
        owner.submit_all(20, Ok(()));
        owner.stop();
        assert!(!owner.is_asleep);
        if is_restored {
            owner.tell_tried(Ok(()));
            owner.append(false);
        } else {
            owner.append(true);
            owner.tell_tried(Err(TOO_DEEP));
        }
        assert!(owner.is_asleep && owner.stored.is_empty());
        assert_eq!(owner.reports.len(), usize::from(!is_restored), "{:?}", owner.reports);
    }
}
