//! Going back and forth in a room's past gives the same states as a replay from the beginning, for little work.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use reapply_client_core::limits::LEAVE_EVENTS_MIN;
use reapply_client_core::stretches::{Builds, Stretches};
use reapply_sync::*;

const EVENTS: u64 = 3_000;
const SLICE: usize = 500;

/// A machine that adds its build's step to a number, and carries some ballast.
struct Adder {
    step: u64,
    work: Rc<Work>,
}

/// Counts of the calls that machines got.
#[derive(Default)]
struct Work {
    applied: Cell<usize>,
    snapshots: Cell<usize>,
}

impl Machine for Adder {
    type State = u64;

    fn create(&mut self, _options: &str) -> Result<u64, LoadError> {
        Ok(0)
    }
    fn restore(&mut self, snapshot: &[u8], _state_version: u32) -> Result<u64, LoadError> {
        let number = snapshot.first_chunk().ok_or_else(|| LoadError::Refused("no number".to_owned()))?;
        Ok(u64::from_le_bytes(*number))
    }
    fn apply(&mut self, state: &u64, _event: &Event) -> Result<u64, ApplyError> {
        self.work.applied.set(self.work.applied.get() + 1);
        Ok(state + self.step)
    }
    fn snapshot(&mut self, state: &u64) -> Result<Bytes, Fault> {
        self.work.snapshots.set(self.work.snapshots.get() + 1);
        let mut bytes = state.to_le_bytes().to_vec();
        bytes.resize(1_000, 0);
        Ok(bytes.into())
    }
    fn alarm(&mut self, _state: &u64) -> Result<Option<Alarm>, Fault> {
        Ok(None)
    }
    fn encode(&mut self, _json: &str) -> Result<Bytes, CodecError> {
        Ok(Bytes::new())
    }
    fn decode(&mut self, _transition: &[u8]) -> Result<String, CodecError> {
        Ok("null".to_owned())
    }
    fn state_version(&self) -> u32 {
        1
    }
    fn membership(&self) -> bool {
        false
    }
    fn reset(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// The data that a host answers from: a log of [`EVENTS`], upgraded in the middle, and the snapshots that its room took.
struct Host {
    genesis: Genesis,
    records: Vec<PastRecord>,
    snapshots: BTreeMap<Seq, Snapshot>,
    /// The state after each event, replayed from the beginning.
    states: Vec<u64>,
}

fn digest(step: u64) -> Digest {
    Digest([step as u8; 32])
}

fn builds(work: &Rc<Work>) -> Builds<Adder> {
    let work = Rc::clone(work);
    Rc::new(move |digest| match digest.0[0] {
        step @ (1 | 10) => Ok(Adder { step: step.into(), work: Rc::clone(&work) }),
        _ => Err("there is no such build".to_owned()),
    })
}

impl Host {
    fn new() -> Self {
        let room = RoomId { machine: "adder".parse().unwrap(), room: "lobby".parse().unwrap() };
        let genesis = Genesis { room, digest: digest(1), options: String::new(), time: Timestamp(0), nonce: 7 };
        let build = builds(&Rc::default());
        let log = genesis.log_id();
        let mut room = Sequencer::open(|digest| build(digest), log, genesis.clone(), None, []).unwrap();
        let mut host = Self { genesis, records: vec![], snapshots: BTreeMap::new(), states: vec![] };
        let client = ClientKey([1; 16]).client_id();
        for number in 1..=EVENTS {
            let now = Timestamp(1_000 * number);
            if number == EVENTS / 2 {
                host.store(&mut room);
                room.begin_upgrade(build(digest(10)).unwrap(), digest(10), now).unwrap();
            }
            let (author, upgraded) = (client.anonymous_author(), room.upgraded());
            let submit = Submit { author, client, number: Number(number), upgraded, transition: vec![7; 40].into() };
            room.handle_submit(submit, now, number);
            if number % 7 == 0 {
                host.store(&mut room);
            }
        }
        host.store(&mut room);
        let mut replay = Replay::from_genesis(|digest| build(digest), &host.genesis).unwrap();
        host.states.push(*replay.state().1);
        for record in &host.records {
            for event in Batch::read(record.expected, &record.body).unwrap() {
                replay.apply(&event).unwrap();
                host.states.push(*replay.state().1);
            }
        }
        host
    }

    fn store(&mut self, room: &mut Sequencer<Adder>) {
        while let Some(batch) = room.poll_batch() {
            let (expected, last, body) = (batch.expected, batch.last(), batch.body.clone());
            self.records.push(PastRecord { expected, last, body });
            room.handle_appended();
            if let Some(snapshot) = room.poll_trial() {
                room.handle_tried(snapshot.seq, Tried::Restored);
            }
            while let Some(snapshot) = room.poll_snapshot() {
                self.snapshots.insert(snapshot.seq, Snapshot::clone(&snapshot));
            }
        }
    }

    fn head(&self) -> Seq {
        Seq(self.states.len() as u64 - 1)
    }

    /// Returns the answer of `GET /rooms/{machine}/{room}/past`, with at most this many records.
    fn past(&self, seq: Seq, held: Option<Seq>, records_max: usize) -> Past {
        let nearest = self.snapshots.range(..=seq).next_back();
        let begin = nearest.map_or(Seq(0), |(seq, _)| *seq);
        let origin = match (held.filter(|held| (begin..=seq).contains(held)), nearest) {
            (Some(held), _) => Origin::Held(held),
            (None, Some((_, snapshot))) => snapshot.clone().into(),
            (None, None) => Origin::Genesis(self.genesis.clone()),
        };
        let mut past = Past { log: self.genesis.log_id(), seq, head: self.head(), origin, records: vec![] };
        let from = past.from();
        let needed = self.records.iter().filter(|record| record.last > from && record.expected < seq);
        past.records = needed.take(records_max).cloned().collect();
        past
    }
}

/// Takes a page to a moment. Returns its state there, and the number of the host's answers that this took.
fn look(page: &mut Stretches<Adder>, host: &Host, seq: Seq, records_max: usize) -> (u64, usize) {
    let mut fetched = 0;
    while !page.has(seq) {
        let held = page.nearest(seq);
        let past = host.past(seq, held, records_max);
        assert_eq!(page.take(past, held), Ok(seq));
        fetched += 1;
    }
    for _ in 0..=EVENTS as usize / SLICE {
        if let Some((_, state, time)) = page.replay(seq, SLICE).unwrap() {
            assert_eq!(time.0 == 0, seq == Seq(0), "{time:?} at {seq}");
            return (*state, fetched);
        }
    }
    panic!("{seq} was not reached");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test draws its seed")]
fn any_moment_is_as_straight_from_the_beginning_in_whatever_order_it_is_looked_at() {
    let host = Host::new();
    assert!(host.snapshots.len() >= 3, "only {} snapshots", host.snapshots.len());
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = seed;
    // The second page gets the past in small parts, the third one can keep little of it.
    for (records_max, bytes_max) in [(usize::MAX, usize::MAX), (5, usize::MAX), (5, 20_000)] {
        let mut page = Stretches::new(builds(&Rc::default()), bytes_max);
        for _ in 0..400 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let seq = Seq((random >> 33) % (host.head().0 + 1));
            assert_eq!(
                look(&mut page, &host, seq, records_max).0,
                host.states[seq.0 as usize],
                "at {seq}, seed {seed}"
            );
        }
    }
}

#[test]
fn going_back_step_by_step_goes_through_few_events_again() {
    let host = Host::new();
    let work = Rc::<Work>::default();
    let mut page = Stretches::new(builds(&work), usize::MAX);
    look(&mut page, &host, host.head(), usize::MAX);
    let mut fetched = 0;
    for seq in (0..host.head().0).rev() {
        let before = work.applied.get();
        let (state, answers) = look(&mut page, &host, Seq(seq), usize::MAX);
        assert_eq!(state, host.states[seq as usize], "at {seq}");
        fetched += answers;
        // A new stretch is replayed once. After that, a snapshot is never far.
        let again = work.applied.get() - before;
        assert!(answers > 0 || again <= LEAVE_EVENTS_MIN + 7, "{again} events for the step to {seq}");
    }
    assert_eq!(fetched, host.snapshots.len(), "each stretch is fetched once");
}

#[test]
fn no_snapshots_are_taken_where_there_is_no_room_for_them() {
    let mut host = Host::new();
    host.snapshots.clear();
    let work = Rc::<Work>::default();
    let mut page = Stretches::new(builds(&work), 1);
    look(&mut page, &host, host.head(), usize::MAX);
    // One snapshot to see that it does not fit, and one for the upgrade on the way.
    assert_eq!(work.snapshots.get(), 2);
}

#[test]
fn what_is_no_past_of_this_room_is_refused() {
    let host = Host::new();
    let mut page = Stretches::new(builds(&Rc::default()), usize::MAX);
    let held = page.take(host.past(Seq(9), Some(Seq(5)), usize::MAX), None).unwrap_err();
    assert_eq!(held, "the host's answer follows on event 5, which is not here");
    let mut damaged = host.past(Seq(9), None, usize::MAX);
    damaged.records.remove(0);
    assert!(page.take(damaged, None).unwrap_err().contains("damaged: event 8"));
    let mut idle = host.past(Seq(20), None, 1);
    assert_eq!(page.take(idle.clone(), None), Ok(Seq(20)));
    idle.records.clear();
    idle.origin = Origin::Held(Seq(7));
    assert_eq!(page.take(idle, Some(Seq(7))).unwrap_err(), "the host's answer ends at event 7, and 20 was asked for");
    assert!(page.replay(Seq(20), SLICE).err().unwrap().contains("20 is not here"));

    // A build that is unavailable is named. When the room is created again, nothing of the old one is left.
    assert_eq!(page.take(host.past(Seq(20), None, usize::MAX), None), Ok(Seq(20)));
    assert!(page.has(Seq(20)));
    let mut other = host.past(Seq(9), None, usize::MAX);
    other.log = LogId([9; 16]);
    let Origin::Genesis(genesis) = &mut other.origin else { panic!("it is the log's beginning") };
    genesis.digest = digest(3);
    assert_eq!(page.take(other, None), Ok(Seq(9)));
    assert!(!page.has(Seq(20)));
    let error = page.replay(Seq(9), SLICE).err().unwrap();
    assert!(error.contains("cannot be run: there is no such build"), "{error}");
}
