//! Proves the stored data while the host serves: a room before it is first used, and everything else in the background.
//!
//! ```text
//!  a read of a room ──not proved yet──▶ wanted ──▶ provers (threads) ──proved──▶ the read goes on
//!                                                       │ damaged
//!  scrubber (a thread): every room, at a bounded rate ──┴──────────▶ quarantine: each read of that room says so, others go on
//! ```
//!
//! Data that this process has written needs no proof. So once the scrubber has proved everything, reads need not ask any more.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use reapply_sync::RoomId;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::authors::Segment;
use super::row::{is_damage, journal_error};
use super::store::Operation;
use super::tables::TablesProof;
use super::verify::{Portion, RoomProof};
use super::writer::Queue;
use super::{rooms, schema};
use crate::{JournalError, ScrubReport};

/// The number of threads that prove rooms for waiting reads.
const PROVERS: usize = 2;

/// The maximum number of rooms that wait to be proved.
const WANTED_MAX: usize = 10_000;

/// The number of bytes of events that are proved within one transaction. The write-ahead log cannot restart meanwhile.
const PORTION_BYTES: usize = 4 * 1024 * 1024;

/// The number of bytes of events that the scrubber proves in a second.
const SCRUB_BYTES_PER_SECOND: f64 = 32.0 * 1024.0 * 1024.0;

/// The number of bytes for which a room counts besides its events.
const ROOM_BYTES: usize = 4 * 1024;

/// The maximum number of damaged rooms that are remembered. Any further room is proved, and found damaged, at each use.
const DAMAGED_MAX: usize = 10_000;

/// The channel to a read that waits for a room's proof.
type Waiting = oneshot::Sender<Result<(), JournalError>>;

/// The state of a room's proof, for a read of the room.
pub(super) enum Proof {
    /// The room is proved, so it can be read.
    Done,
    /// The room is damaged, or cannot be proved now.
    Refused(JournalError),
    /// The room is being proved.
    UnderWay(oneshot::Receiver<Result<(), JournalError>>),
}

/// The threads that prove, and their results. Dropping this ends them.
#[derive(Debug)]
pub(super) struct Proofs {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    known: Mutex<Known>,
    changed: Condvar,
    /// The writer's queue, for missing rows of authors.
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Known {
    /// The proved rooms, each by the start of its name's hash.
    proved: HashSet<u128>,
    /// Whether all rooms are proved.
    is_all_proved: bool,
    damaged: BTreeMap<RoomId, String>,
    /// The rooms that reads wait for. They are proved in turn, a portion at a time, so that no room waits for the whole of another.
    wanted: VecDeque<PendingProof>,
    waiting: HashMap<RoomId, Vec<Waiting>>,
    scrub: ScrubReport,
    /// Whether another pass is wanted.
    is_pass_wanted: bool,
    is_closed: bool,
}

impl Proofs {
    /// Starts the threads. If everything was proved already, nothing is left to do.
    pub(super) fn start(file: &Path, is_all_proved: bool, queue: Arc<Queue>) -> rusqlite::Result<Self> {
        let report = ScrubReport { is_done: is_all_proved, ..ScrubReport::default() };
        let known = Known { is_all_proved, is_pass_wanted: !is_all_proved, scrub: report, ..Known::default() };
        let shared = Arc::new(Shared { known: Mutex::new(known), changed: Condvar::new(), queue });
        let mut proofs = Self { shared, threads: Vec::new() };
        for index in 0..=PROVERS {
            let connection = schema::open_reader(file)?;
            let (shared, is_scrubber) = (Arc::clone(&proofs.shared), index == PROVERS);
            let name = if is_scrubber { "journal-scrub".to_owned() } else { format!("journal-prove-{index}") };
            let run = move || if is_scrubber { scrub(&shared, &connection) } else { prove(&shared, &connection) };
            let started = thread::Builder::new().name(name).spawn(run);
            proofs.threads.push(started.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?);
        }
        Ok(proofs)
    }

    /// Returns the state of this room's proof, and starts the proof if necessary.
    pub(super) fn of(&self, room: &RoomId) -> Proof {
        let mut known = self.shared.lock();
        if let Some(what) = known.damaged.get(room) {
            return Proof::Refused(JournalError::Damaged(what.clone()));
        }
        if known.is_all_proved || known.proved.contains(&name_hash(room)) {
            return Proof::Done;
        }
        let (answer, receiver) = oneshot::channel();
        if let Some(others) = known.waiting.get_mut(room) {
            others.push(answer);
            return Proof::UnderWay(receiver);
        }
        let waiting = known.waiting.len();
        if waiting >= WANTED_MAX {
            return Proof::Refused(JournalError::QueueFull { waiting, waiting_max: WANTED_MAX, unit: "proofs" });
        }
        known.waiting.insert(room.clone(), vec![answer]);
        known.wanted.push_back(PendingProof { room: room.clone(), proof: None });
        drop(known);
        self.shared.changed.notify_all();
        Proof::UnderWay(receiver)
    }

    /// Notes that a room is proved, since it began in this process.
    pub(super) fn note(&self, room: &RoomId) {
        self.shared.lock().note(room);
    }

    /// Returns the progress of the scrubber. With `again` it begins another pass, unless one is running.
    pub(super) fn scrub(&self, again: bool) -> ScrubReport {
        let mut known = self.shared.lock();
        if again && known.scrub.is_done {
            known.is_pass_wanted = true;
            known.scrub = ScrubReport::default();
            self.shared.changed.notify_all();
        }
        let damaged = known.damaged.iter().map(|(room, what)| (room.clone(), what.clone())).collect();
        ScrubReport { damaged, ..known.scrub.clone() }
    }
}

impl Drop for Proofs {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits until `next` finds something to do. `None` once the journal is closed.
    fn wait<T>(&self, mut next: impl FnMut(&mut Known) -> Option<T>) -> Option<T> {
        let mut known = self.lock();
        loop {
            if known.is_closed {
                return None;
            }
            if let Some(found) = next(&mut known) {
                return Some(found);
            }
            known = self.changed.wait(known).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for some time, or until the journal is closed.
    fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut known = self.lock();
        while !known.is_closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            known = self.changed.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Known {
    fn note(&mut self, room: &RoomId) {
        if !self.is_all_proved {
            self.proved.insert(name_hash(room));
        }
    }

    /// Prevents reads of a damaged room, and reports the damage to the operator.
    fn quarantine(&mut self, room: &RoomId, what: &str) {
        self.proved.remove(&name_hash(room));
        if !self.damaged.contains_key(room) && self.damaged.len() < DAMAGED_MAX {
            tracing::error!(%room, %what, "the room is damaged, and is not served; the others are");
            self.damaged.insert(room.clone(), what.to_owned());
        }
    }
}

/// Proves the rooms that reads wait for, a portion of each in turn.
fn prove(shared: &Shared, connection: &Connection) {
    while let Some(wanted) = shared.wait(|known| known.wanted.pop_front()) {
        prove_portion(shared, connection, wanted);
    }
}

/// Proves the next portion of a room. After the last one, answers the reads that wait for the room.
fn prove_portion(shared: &Shared, connection: &Connection, mut wanted: PendingProof) {
    let went_on = wanted.go_on(connection);
    wanted.note_authors(&shared.queue);
    let mut known = shared.lock();
    let room = wanted.room.clone();
    let answer = match went_on {
        Ok(Portion::Proved(_)) => return known.wanted.push_back(wanted),
        Ok(Portion::Last(_)) => {
            known.note(&room);
            Ok(())
        }
        // The read itself will report that.
        Ok(Portion::NoRoom) => Ok(()),
        Err(error) => {
            let told = journal_error(connection, &error);
            if let JournalError::Damaged(what) = &told {
                known.quarantine(&room, what);
            }
            Err(told)
        }
    };
    for waiting in known.waiting.remove(&room).unwrap_or_default() {
        let _ = waiting.send(answer.clone());
    }
}

/// A room that is being proved.
#[derive(Debug)]
struct PendingProof {
    room: RoomId,
    /// The proof so far, once it has begun.
    proof: Option<RoomProof>,
}

impl PendingProof {
    /// Proves the next portion, within one transaction.
    fn go_on(&mut self, connection: &Connection) -> rusqlite::Result<Portion> {
        let _moment = connection.unchecked_transaction()?;
        if self.proof.is_none() {
            self.proof = RoomProof::begin(connection, &self.room)?;
        }
        let Some(proof) = &mut self.proof else { return Ok(Portion::NoRoom) };
        proof.go_on(connection, PORTION_BYTES)
    }

    /// Stores the rows of authors that the last portion found to be missing. Nobody waits for that.
    fn note_authors(&mut self, queue: &Queue) {
        let Some((key, segments)) = self.proof.as_mut().map(RoomProof::take_unnoted) else { return };
        if !segments.is_empty() {
            let bytes = segments.iter().map(Segment::bytes).sum();
            queue.push_other(Operation::PutAuthors(key, segments), bytes, oneshot::channel().0);
        }
    }
}

/// Proves one room, and calls `each` with the number of bytes after each portion. Returns whether there is such a room.
fn go_through(
    shared: &Shared,
    connection: &Connection,
    room: &RoomId,
    each: &mut impl FnMut(usize),
) -> rusqlite::Result<bool> {
    let mut wanted = PendingProof { room: room.clone(), proof: None };
    while !shared.is_closed() {
        let went_on = wanted.go_on(connection)?;
        wanted.note_authors(&shared.queue);
        match went_on {
            Portion::Proved(bytes) => each(bytes),
            Portion::Last(bytes) => {
                each(bytes);
                return Ok(true);
            }
            Portion::NoRoom => return Ok(false),
        }
    }
    Ok(true)
}

/// Runs the scrubber: makes a pass whenever one is wanted.
fn scrub(shared: &Shared, connection: &Connection) {
    while shared.wait(|known| std::mem::take(&mut known.is_pass_wanted).then_some(())).is_some() {
        let mut after = 0;
        loop {
            match rooms::next(connection, after) {
                Ok(Some((key, room))) => {
                    after = key;
                    scrub_room(shared, connection, key, room.as_ref());
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "the journal cannot be read, so it is not proved; the next attempt is made at the next start");
                    shared.lock().scrub.elsewhere.push(journal_error(connection, &error).to_string());
                    break;
                }
            }
            if shared.is_closed() {
                return;
            }
        }
        let tables = scrub_tables(shared, connection);
        let mut known = shared.lock();
        if let Err(error) = tables {
            let what = journal_error(connection, &error).to_string();
            tracing::error!(%what, "the journal is damaged outside of its rooms");
            known.scrub.elsewhere.push(what);
        }
        known.scrub.is_done = true;
        if known.damaged.is_empty() && known.scrub.elsewhere.is_empty() {
            known.is_all_proved = true;
            known.proved = HashSet::new();
        }
    }
}

/// Proves the data outside of rooms, a portion at a time.
fn scrub_tables(shared: &Shared, connection: &Connection) -> rusqlite::Result<()> {
    let mut tables = TablesProof::default();
    while !shared.is_closed() {
        let portion = {
            let _moment = connection.unchecked_transaction()?;
            tables.go_on(connection, PORTION_BYTES)?
        };
        let Some(bytes) = portion else { return Ok(()) };
        shared.rest(pace_of(bytes));
    }
    Ok(())
}

/// Returns the time that proving this many bytes should take.
fn pace_of(bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 / SCRUB_BYTES_PER_SECOND)
}

fn scrub_room(shared: &Shared, connection: &Connection, key: i64, room: Option<&RoomId>) {
    let mut pace = |bytes: usize| {
        shared.lock().scrub.bytes += bytes as u64;
        shared.rest(pace_of(bytes));
    };
    let gone_through = room.map(|room| go_through(shared, connection, room, &mut pace));
    shared.rest(pace_of(ROOM_BYTES));
    let mut known = shared.lock();
    known.scrub.rooms += 1;
    match (room, gone_through) {
        (Some(room), Some(Ok(true))) if !known.damaged.contains_key(room) => known.note(room),
        (Some(room), Some(Err(error))) if is_damage(&error) => {
            let what = journal_error(connection, &error).to_string();
            known.quarantine(room, &what);
        }
        (_, Some(Err(error))) => known.scrub.elsewhere.push(journal_error(connection, &error).to_string()),
        (None, _) => known.scrub.elsewhere.push(format!("room {key}: its name is damaged")),
        _ => {}
    }
}

fn name_hash(room: &RoomId) -> u128 {
    let hash = blake3::hash(room.to_string().as_bytes());
    let mut start = [0; 16];
    start.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_le_bytes(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteJournal;
    use crate::conformance::{Shared as SharedJournal, room_with};
    use crate::sqlite::schema::DATABASE_FILE;

    fn room(name: &str) -> RoomId {
        RoomId { machine: "counter".parse().unwrap(), room: name.parse().unwrap() }
    }

    fn wait_for(proofs: &Proofs, room: &RoomId) -> oneshot::Receiver<Result<(), JournalError>> {
        match proofs.of(room) {
            Proof::UnderWay(receiver) => receiver,
            _ => panic!("{room} need not be proved"),
        }
    }

    #[tokio::test]
    async fn a_small_room_does_not_wait_for_the_whole_of_a_large_one() {
        let directory = tempfile::tempdir().unwrap();
        let journal: SharedJournal = Arc::new(SqliteJournal::open(directory.path()).unwrap().journal);
        // A record of 4,096 events has some 150 KB.
        let large = room_with(&journal, "large", &[4_096; 80]).await;
        let small = room_with(&journal, "small", &[1]).await;
        drop(journal);
        let proofs = Proofs { shared: Arc::default(), threads: Vec::new() };
        let mut waits_for_large = wait_for(&proofs, large.room());
        let mut waits_for_small = wait_for(&proofs, small.room());
        let connection = schema::open_reader(&directory.path().join(DATABASE_FILE)).unwrap();
        let step = || {
            let wanted = proofs.shared.lock().wanted.pop_front().unwrap();
            prove_portion(&proofs.shared, &connection, wanted);
        };
        step();
        step();
        assert_eq!(waits_for_small.try_recv(), Ok(Ok(())));
        assert!(waits_for_large.try_recv().is_err(), "a large room is proved at once");
        while proofs.shared.lock().wanted.front().is_some() {
            step();
        }
        assert_eq!(waits_for_large.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn who_waits_for_a_room_that_is_being_proved_is_no_further_burden() {
        let proofs = Proofs { shared: Arc::default(), threads: Vec::new() };
        let waiting: Vec<_> = (0..WANTED_MAX).map(|number| wait_for(&proofs, &room(&format!("r{number}")))).collect();
        assert!(matches!(proofs.of(&room("another")), Proof::Refused(JournalError::QueueFull { .. })));
        let joined = wait_for(&proofs, &room("r7"));
        assert_eq!(proofs.shared.lock().wanted.len(), WANTED_MAX);
        drop((waiting, joined));
    }
}
