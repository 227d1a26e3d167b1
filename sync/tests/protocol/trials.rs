//! Snapshots on trial: the snapshots that a room stores, and the one from which it goes on until then.

use std::sync::Arc;

use reapply_sync::room::limits::TRIAL_RETRY_MICROS;
use reapply_sync::room::{Effect, Note, Now, Ticks, Waking};
use reapply_sync::{
    Author, Batch, ClientKey, Fault, Goodbye, Hello, Input, Limits, Number, Rejection, Report, Room, Seq, Sequencer,
    ServerMessage, SessionId, Snapshot, SnapshotPolicy, Timestamp, Tried,
};

use crate::tally::{Tally, genesis, transition};

pub(crate) const KEY: ClientKey = ClientKey([1; 16]);

const TOO_DEEP: &str = "its bytes nest too deep";

/// A room with one session, and its owner, who performs effects when the test says so.
pub(crate) struct Owner {
    pub(crate) room: Room<Tally>,
    pub(crate) ticks: u64,
    pub(crate) number: u64,
    pub(crate) appending: Option<Arc<Batch>>,
    pub(crate) on_trial: Option<Arc<Snapshot>>,
    /// The number of snapshots that were tried.
    pub(crate) trials: usize,
    pub(crate) log: Vec<Batch>,
    pub(crate) stored: Vec<Arc<Snapshot>>,
    pub(crate) reports: Vec<Report>,
    pub(crate) rejected: Vec<Rejection>,
    pub(crate) ended: Vec<Goodbye>,
    /// The note with which the room fell asleep.
    pub(crate) noted: Option<Note>,
}

impl Owner {
    pub(crate) fn new(policy: SnapshotPolicy, limits: Limits) -> Self {
        Self::open(policy, limits, None, Vec::new())
    }

    /// Opens a room without sessions.
    pub(crate) fn open_idle(
        policy: SnapshotPolicy,
        limits: Limits,
        snapshot: Option<Snapshot>,
        log: Vec<Batch>,
    ) -> Self {
        let after = snapshot.as_ref().map_or(Seq(0), |snapshot| snapshot.seq);
        let tail = log.iter().filter(|batch| batch.expected >= after).cloned().collect::<Vec<_>>();
        let build = |_| Ok(Tally::default());
        let opened = Sequencer::open_within(limits, build, genesis().log_id(), genesis(), snapshot, tail);
        let mut sequencer = opened.unwrap();
        sequencer.set_snapshot_policy(policy);
        let waking = Waking { noted: Note::default(), is_used: true, sleep_after_micros: 1_000_000 };
        let room = Room::new(sequencer, waking, &mut now(0, &mut || 7));
        Self {
            room,
            ticks: 0,
            number: log.len() as u64,
            appending: None,
            on_trial: None,
            trials: 0,
            log,
            stored: Vec::new(),
            reports: Vec::new(),
            rejected: Vec::new(),
            ended: Vec::new(),
            noted: None,
        }
    }

    pub(crate) fn open(policy: SnapshotPolicy, limits: Limits, snapshot: Option<Snapshot>, log: Vec<Batch>) -> Self {
        let mut owner = Self::open_idle(policy, limits, snapshot, log);
        let hello = Hello::new(KEY, None);
        owner.with(|room, now| room.handle_enter(SessionId(1), &hello, Author("a".into()), now)).unwrap();
        owner.perform();
        while owner.appending.is_some() {
            owner.append(true);
        }
        owner
    }

    pub(crate) fn with<T>(&mut self, f: impl FnOnce(&mut Room<Tally>, &mut Now<'_>) -> T) -> T {
        f(&mut self.room, &mut now(self.ticks, &mut || 7))
    }

    pub(crate) fn perform(&mut self) {
        while let Some(effect) = self.with(|room, now| room.poll_effect(now)) {
            match effect {
                Effect::Append { batch, .. } => self.appending = Some(batch),
                Effect::TrySnapshot(snapshot) => {
                    self.on_trial = Some(snapshot);
                    self.trials += 1;
                }
                Effect::StoreSnapshot(snapshot) => self.stored.push(snapshot),
                Effect::Report(report) => self.reports.push(report),
                Effect::End { why, .. } => self.ended.push(why),
                Effect::Sleep { note } => self.noted = Some(note),
                Effect::Send { frame, .. } => match ServerMessage::decode(&frame).unwrap() {
                    ServerMessage::Rejected { why, .. } => self.rejected.push(why),
                    other => panic!("{other:?}"),
                },
                _ => {}
            }
        }
    }

    /// Gives the journal's answer.
    pub(crate) fn append(&mut self, is_stored: bool) {
        let batch = self.appending.take().expect("a batch is with the journal");
        if is_stored {
            self.log.push((*batch).clone());
            self.with(|room, now| room.handle_appended(now));
        } else {
            self.with(|room, now| room.handle_append_failed(now));
        }
        self.perform();
    }

    pub(crate) fn tell_tried(&mut self, tried: Tried) {
        let snapshot = self.on_trial.take().expect("a snapshot is on trial");
        self.with(|room, _| room.handle_tried(snapshot.seq, tried));
        self.perform();
    }

    /// Waits this long, and calls the timer.
    pub(crate) fn wait(&mut self, micros: u64) {
        self.ticks += micros;
        self.with(|room, now| room.handle_timer(now));
        self.perform();
    }

    pub(crate) fn wakes_at(&mut self) -> Option<u64> {
        self.with(|room, now| room.wake_at(now)).map(|Ticks(at)| at)
    }

    pub(crate) fn is_asleep(&self) -> bool {
        self.noted.is_some()
    }

    /// Submits one transition, and stores its event, but no checkpoint.
    pub(crate) fn submit(&mut self) {
        self.number += 1;
        let number = Number(self.number);
        self.with(|room, now| room.handle_submit(SessionId(1), number, transition(number.0 * 2 + 101), now));
        self.perform();
        if self.appending.is_some() {
            self.append(true);
        }
    }

    /// Submits this many transitions. Tries and stores everything that the room asks for.
    pub(crate) fn submit_all(&mut self, count: usize, tried: &Tried) {
        for _ in 0..count {
            self.submit();
            if self.on_trial.is_some() {
                self.tell_tried(tried.clone());
            }
            while self.appending.is_some() {
                self.append(true);
            }
        }
    }

    pub(crate) fn stop(&mut self) {
        self.with(|room, _| room.handle_stop());
        self.perform();
    }

    pub(crate) fn base(&self) -> Seq {
        self.room.sequencer().history().base().seq
    }

    /// Returns the seqs whose checkpoints are in the log.
    pub(crate) fn checkpoints(&self) -> Vec<Seq> {
        let events = self.log.iter().flat_map(|batch| &batch.events);
        let of = |input: &Input| if let Input::Checkpoint { seq, .. } = input { Some(*seq) } else { None };
        events.filter_map(|event| of(&event.input)).collect()
    }
}

fn now<'a>(ticks: u64, entropy: &'a mut dyn FnMut() -> u64) -> Now<'a> {
    Now { ticks: Ticks(ticks), time: Timestamp(1_000 + ticks), entropy }
}

pub(crate) fn too_deep() -> Tried {
    Tried::Failed(TOO_DEEP.to_owned())
}

pub(crate) fn every(events: u64) -> SnapshotPolicy {
    SnapshotPolicy { events: Some(events), bytes: None }
}

/// Returns a room whose snapshot was just taken and is on trial, with its checkpoint on the way to the journal.
pub(crate) fn trying() -> Owner {
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
            if is_trial { owner.tell_tried(Tried::Restored) } else { owner.append(true) }
        }
        assert_eq!((owner.base(), owner.stored.len(), owner.checkpoints()), (seq, 1, vec![seq]));
        assert!(owner.reports.is_empty());
    }
}

#[test]
fn a_snapshot_that_cannot_be_restored_is_not_stored_and_its_cause_is_told_once() {
    let mut owner = Owner::new(every(4), Limits { overfull_tail_bytes_min: 60_000, ..Limits::default() });
    owner.submit_all(300, &too_deep());
    assert!(owner.trials > 2, "it was tried {} times", owner.trials);
    assert_eq!(owner.checkpoints().len(), 1, "only the first one's checkpoint did not wait for its trial");
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
    owner.submit_all(5_000, &too_deep());
    assert!(matches!(owner.rejected.last(), Some(Rejection::Overfull { .. })), "{:?}", owner.rejected.last());
    assert!(matches!(owner.reports.last(), Some(Report::Overfull { .. })), "{:?}", owner.reports);
}

#[test]
fn a_cause_is_told_again_after_a_snapshot_that_succeeded() {
    let mut owner = Owner::new(every(4), Limits::default());
    for round in 1..=2 {
        owner.submit_all(50, &too_deep());
        let told = owner.reports.iter().filter(|report| matches!(report, Report::SnapshotUnrestorable { .. }));
        assert_eq!(told.count(), round);
        owner.submit_all(200, &Tried::Restored);
        assert!(owner.base() > Seq(0));
    }
}

#[test]
fn a_snapshot_whose_checkpoint_is_not_stored_is_given_up() {
    for is_tried_first in [true, false] {
        let mut owner = trying();
        if is_tried_first {
            owner.tell_tried(Tried::Restored);
        }
        owner.append(false);
        if !is_tried_first {
            owner.tell_tried(Tried::Restored);
        }
        assert_eq!((owner.base(), owner.stored.len()), (Seq(0), 0));
        // The room takes another snapshot.
        let hello = Hello::new(KEY, None);
        owner.with(|room, now| room.handle_enter(SessionId(1), &hello, Author("a".into()), now)).unwrap();
        owner.submit_all(3, &Tried::Restored);
        assert_eq!(owner.stored.len(), 1);
    }
}

#[test]
fn a_trial_that_could_not_be_made_says_nothing_of_the_snapshot_and_is_made_later() {
    let mut owner = trying();
    let seq = owner.on_trial.as_ref().unwrap().seq;
    owner.append(true);
    for _ in 0..3 {
        owner.tell_tried(Tried::NotTried);
        assert!(owner.on_trial.is_none(), "it is tried again at once");
        assert_eq!((owner.base(), owner.stored.len()), (Seq(0), 0));
        owner.submit_all(20, &Tried::Restored);
        assert!(owner.wakes_at().is_some_and(|at| at <= owner.ticks + TRIAL_RETRY_MICROS));
        owner.wait(TRIAL_RETRY_MICROS);
    }
    owner.tell_tried(Tried::Restored);
    assert_eq!((owner.base(), owner.stored[0].seq, owner.checkpoints()[0]), (seq, seq, seq));
    assert!(owner.reports.is_empty(), "{:?}", owner.reports);
}

#[test]
fn a_snapshot_in_doubt_is_given_up_if_the_log_goes_on_and_the_next_one_is_not_in_doubt() {
    let mut owner = trying();
    owner.append(true);
    owner.tell_tried(too_deep());
    while owner.on_trial.is_none() {
        owner.submit();
    }
    assert!(owner.appending.is_none(), "its checkpoint did not wait");
    owner.submit();
    owner.tell_tried(Tried::Restored);
    assert_eq!((owner.checkpoints().len(), owner.base()), (1, Seq(0)));
    owner.submit();
    assert!(owner.appending.is_some() && owner.on_trial.is_some());
    let seq = owner.on_trial.as_ref().unwrap().seq;
    owner.append(true);
    owner.tell_tried(Tried::Restored);
    assert_eq!((owner.checkpoints().last(), owner.base(), owner.stored.len()), (Some(&seq), seq, 1));
}
