//! A room whose machine cannot write its state. It takes no more than its limit until it can, and everything else goes on.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

use reapply_sync::room::limits::SNAPSHOT_RETRY_MICROS;
use reapply_sync::room::{Effect, Note, Now, Ticks, Usage, Waking};
use reapply_sync::{
    Author, ClientKey, Goodbye, Hello, Limits, Number, Rejection, Report, Room, Seq, Sequencer, ServerMessage,
    SessionId, Timestamp, Tried,
};

use crate::tally::{Tally, genesis, transition};

/// Maximum bytes of events without a snapshot in these rooms.
const TAIL_BYTES_MAX: usize = 100_000;

/// The time without use after which these rooms fall asleep.
const SLEEP_AFTER: u64 = 1_000_000;

struct Owner {
    room: Room<Tally>,
    snapshots_fail: Rc<Cell<bool>>,
    /// Whether the trials of snapshots fail.
    restores_fail: bool,
    ticks: u64,
    number: u64,
    told: Vec<Rejection>,
    reports: Vec<Report>,
    /// The note with which the room fell asleep.
    noted: Option<Note>,
}

impl Owner {
    /// Returns a room with a session of a client that speaks this version.
    fn new(version: u16) -> Self {
        Self::within(version, TAIL_BYTES_MAX)
    }

    /// Does the same with this maximum of bytes of events without a snapshot.
    fn within(version: u16, tail_bytes_max: usize) -> Self {
        let snapshots_fail = Rc::new(Cell::new(false));
        let limits = Limits { overfull_tail_bytes_min: tail_bytes_max, ..Limits::default() };
        let build = |_| Ok(Tally { snapshots_fail: Rc::clone(&snapshots_fail), ..Tally::default() });
        let opened = Sequencer::open_within(limits, build, genesis().log_id(), genesis(), None, []);
        let waking = Waking { noted: Note::default(), is_used: true, sleep_after_micros: SLEEP_AFTER };
        let (ticks, number, told, reports) = (0, 0, Vec::new(), Vec::new());
        let room = Room::new(opened.unwrap(), waking, &mut now(0, &mut || 7));
        let mut owner = Self { room, snapshots_fail, restores_fail: false, ticks, number, told, reports, noted: None };
        assert!(owner.enter(1, version).is_ok());
        owner
    }

    fn with<T>(&mut self, f: impl FnOnce(&mut Room<Tally>, &mut Now<'_>) -> T) -> T {
        f(&mut self.room, &mut now(self.ticks, &mut || 7))
    }

    fn enter(&mut self, key: u8, version: u16) -> Result<(), Goodbye> {
        let hello = Hello { version, ..Hello::new(ClientKey([key; 16]), None) };
        let author = Author(format!("{key}").into());
        self.with(|room, now| room.handle_enter(SessionId(key.into()), &hello, author, now)).map(drop)
    }

    /// Submits one more transition. Returns whether it became an event.
    fn submit(&mut self) -> bool {
        self.number += 1;
        let (number, head) = (Number(self.number), self.head());
        self.with(|room, now| room.handle_submit(SessionId(1), number, transition(number.0 * 2 + 101), now));
        self.perform();
        self.head() > head
    }

    fn head(&self) -> Seq {
        self.room.sequencer().history().head()
    }

    fn perform(&mut self) {
        while let Some(effect) = self.with(|room, now| room.poll_effect(now)) {
            match effect {
                Effect::Append { .. } => self.with(|room, now| room.handle_appended(now)),
                Effect::TrySnapshot(snapshot) => {
                    let tried = if self.restores_fail { Tried::Failed("too deep".to_owned()) } else { Tried::Restored };
                    self.with(|room, _| room.handle_tried(snapshot.seq, tried));
                }
                Effect::Report(report) => self.reports.push(report),
                Effect::Sleep { note } => self.noted = Some(note),
                Effect::Send { frame, .. } => match ServerMessage::decode(&frame).unwrap() {
                    ServerMessage::Rejected { why, .. } => self.told.push(why),
                    other => panic!("{other:?}"),
                },
                _ => {}
            }
        }
    }

    /// Begins a session for each of these clients, and does everything that is due after each. Returns the head.
    fn join_each(&mut self, keys: Range<u8>) -> Seq {
        for key in keys {
            assert!(self.enter(key, 2).is_ok());
            self.perform();
            self.with(|room, now| room.handle_timer(now));
            self.perform();
        }
        self.head()
    }

    /// Submits until the room takes no more.
    fn fill(&mut self) {
        self.snapshots_fail.set(true);
        while self.submit() {}
    }
}

fn now<'a>(ticks: u64, entropy: &'a mut dyn FnMut() -> u64) -> Now<'a> {
    Now { ticks: Ticks(ticks), time: Timestamp(1_000 + ticks), entropy }
}

#[test]
fn a_room_that_cannot_write_its_state_takes_no_more_than_its_limit_and_says_so_once() {
    let mut owner = Owner::new(2);
    owner.fill();
    let bytes = owner.room.sequencer().history().bytes();
    assert!((TAIL_BYTES_MAX..2 * TAIL_BYTES_MAX).contains(&bytes), "{bytes}");
    assert!(matches!(owner.told[..], [Rejection::Overfull { bytes_max, .. }] if bytes_max == TAIL_BYTES_MAX as u64));
    let head = owner.head();
    for _ in 0..1_000 {
        assert!(!owner.submit());
    }
    assert_eq!((owner.head(), owner.room.sequencer().history().bytes()), (head, bytes));
    let overfull = owner.reports.iter().filter(|report| matches!(report, Report::Overfull { .. }));
    assert_eq!(overfull.count(), 1, "{:?}", owner.reports);
    assert!(owner.reports.len() < 10, "{} reports", owner.reports.len());
    // Reads go on, from the first event to the last, a portion at a time.
    let (mut after, mut portions) = (Seq(0), 0);
    while let Some(read) = owner.room.sequencer().history().read(after).unwrap() {
        (after, portions) = (read.upto, portions + 1);
    }
    assert_eq!((after, portions), (head, 1));
    // Somebody who comes or goes is still let in, and the machine is told of it.
    assert!(owner.enter(2, 2).is_ok());
    owner.perform();
    assert_eq!(owner.head(), Seq(head.0 + 1));
}

#[test]
fn an_overfull_room_tries_again_and_goes_on_once_it_has_a_snapshot() {
    let mut owner = Owner::new(2);
    owner.fill();
    let reports = owner.reports.len();
    for is_failing in [true, false] {
        owner.snapshots_fail.set(is_failing);
        let wake_at = owner.with(|room, now| room.wake_at(now)).unwrap();
        assert!(wake_at.0 <= owner.ticks + SNAPSHOT_RETRY_MICROS);
        assert!(!owner.submit(), "not before it has tried");
        owner.ticks += SNAPSHOT_RETRY_MICROS;
        owner.with(|room, now| room.handle_timer(now));
        owner.perform();
        assert_eq!(owner.reports.len(), reports, "it was said already");
        assert_eq!(owner.submit(), !is_failing);
    }
    // If the room comes to that again, it is reported again.
    owner.fill();
    assert!(owner.reports.len() > reports);
}

#[test]
fn a_snapshot_that_a_slice_breaks_off_is_taken_once_there_is_none() {
    let mut owner = Owner::new(2);
    owner.fill();
    let reports = owner.reports.len();
    owner.snapshots_fail.set(false);
    owner.with(|room, now| room.wake_at(now)).unwrap();
    owner.ticks += SNAPSHOT_RETRY_MICROS;
    owner.with(|room, now| {
        room.set_slice(Some(0));
        room.handle_timer(now);
        assert!(room.is_lost(), "it was not tried");
        room.set_slice(None);
        room.handle_lost();
    });
    owner.perform();
    assert!(owner.submit(), "it was not tried again");
    assert_eq!(owner.reports.len(), reports, "a slice is no fault");
}

#[test]
fn an_overfull_room_lets_no_alarm_go_off() {
    let mut owner = Owner::new(2);
    owner.fill();
    // One state in four has an alarm, which is due at once.
    let head = owner.join_each(2..6);
    assert_eq!(owner.join_each(6..10), Seq(head.0 + 4), "an alarm went off");
    owner.snapshots_fail.set(false);
    owner.with(|room, now| room.wake_at(now)).unwrap();
    owner.ticks += SNAPSHOT_RETRY_MICROS;
    let head = owner.join_each(10..11);
    assert!(owner.join_each(11..15) > Seq(head.0 + 4), "no alarm went off");
}

#[test]
fn an_overfull_room_falls_asleep_although_its_alarm_is_due() {
    // One state in four has an alarm, so some of these rooms have one.
    let sleep = |more: usize| {
        let mut owner = Owner::within(2, TAIL_BYTES_MAX + more);
        owner.fill();
        owner.with(|room, now| room.handle_leave(SessionId(1), now));
        owner.perform();
        let usage = owner.with(|room, now| room.usage(now));
        assert!(matches!(usage, Usage::Unused { .. }), "it gives no memory back: {usage:?}");
        owner.ticks += SLEEP_AFTER;
        owner.with(|room, now| room.handle_timer(now));
        owner.perform();
        owner.noted.expect("it stays awake").alarm
    };
    let alarms: Vec<Timestamp> = (0..400).step_by(25).filter_map(sleep).collect();
    assert!(!alarms.is_empty() && alarms.iter().all(|at| *at <= Timestamp(1_000)), "{alarms:?}");
}

#[test]
fn a_room_of_joins_alone_is_bounded_as_well() {
    let mut owner = Owner::new(2);
    owner.fill();
    let refused = (2..=u8::MAX).cycle().find_map(|key| {
        let entered = owner.enter(key, 2);
        owner.perform();
        owner.with(|room, now| room.handle_leave(SessionId(key.into()), now));
        owner.perform();
        entered.err()
    });
    assert!(matches!(refused, Some(Goodbye::Full(_))), "{refused:?}");
    assert!(owner.room.sequencer().history().bytes() < 3 * TAIL_BYTES_MAX);
}

#[test]
fn a_client_of_the_version_before_is_told_in_words_that_it_knows() {
    let mut owner = Owner::new(1);
    owner.fill();
    assert!(matches!(&owner.told[..], [Rejection::Forbidden(why)] if why.contains("snapshot")), "{:?}", owner.told);
}
