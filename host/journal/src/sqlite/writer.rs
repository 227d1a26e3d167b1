//! The only thread that writes. It takes the waiting requests of all rooms, stores them in one transaction, and then answers.
//!
//! So one fdatasync serves all requests that came during the one before, and no request waits for others to join it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use reapply_sync::RoomId;
use reapply_sync::room::Note;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoint::Checkpoints;
use super::leftovers::Leftovers;
use super::mark;
use super::outcome::Outcome;
use super::row::{Failed, journal_error};
use super::snapshots::CHUNK_BYTES;
use super::store::{Operation, Store};
use crate::crash;
use crate::{Appended, JournalError, Record};

/// The maximum number of bytes that wait for the writer, in the whole host: the largest snapshot, and as much again.
pub(super) const QUEUE_BYTES_MAX: usize = 128 * 1024 * 1024;

/// The number of bytes after which a transaction is closed. A larger operation is still stored as a whole.
const TRANSACTION_BYTES: usize = 8 * 1024 * 1024;

/// The number of bytes for which a request counts in the queue besides its body.
const REQUEST_BYTES: usize = 256;

/// The queue of requests for the writer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: VecDeque<Request>,
    /// The number of bytes of the requests, including those that the writer has taken but not answered yet.
    bytes: usize,
    closed: bool,
}

/// An operation, and the channel of its answer.
#[derive(Debug)]
struct Request {
    operation: Operation,
    answer: Answer,
    bytes: usize,
    /// The number of its portions that are stored already.
    portion: usize,
}

#[derive(Debug)]
enum Answer {
    Append(oneshot::Sender<Appended>),
    Other(oneshot::Sender<Result<(), JournalError>>),
}

impl Queue {
    /// Enqueues an append.
    pub(super) fn append(&self, room: &RoomId, record: Record, note: Note, answer: oneshot::Sender<Appended>) {
        let bytes = record.body.len() + REQUEST_BYTES;
        let operation = Operation::Append(room.clone(), record, note);
        self.push(Request { operation, answer: Answer::Append(answer), bytes, portion: 0 });
    }

    /// Enqueues anything else; `bytes` is the size of its body.
    pub(super) fn push_other(
        &self,
        operation: Operation,
        bytes: usize,
        answer: oneshot::Sender<Result<(), JournalError>>,
    ) {
        self.push(Request { operation, answer: Answer::Other(answer), bytes: bytes + REQUEST_BYTES, portion: 0 });
    }

    /// Closes the queue. The writer ends once it has stored the waiting requests.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    fn push(&self, request: Request) {
        let mut waiting = self.lock();
        let refusal = if waiting.closed {
            Some(JournalError::Closed)
        } else if waiting.bytes + request.bytes > QUEUE_BYTES_MAX {
            let (waiting, waiting_max) = (waiting.bytes, QUEUE_BYTES_MAX);
            Some(JournalError::QueueFull { waiting, waiting_max, unit: "bytes" })
        } else {
            None
        };
        if let Some(refusal) = refusal {
            drop(waiting);
            return request.answer.fail(refusal);
        }
        waiting.bytes += request.bytes;
        waiting.requests.push_back(request);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Puts a request at the end of the queue again, for its next portion.
    fn push_again(&self, request: Request) {
        let mut waiting = self.lock();
        if waiting.closed {
            drop(waiting);
            return request.answer.fail(JournalError::Closed);
        }
        waiting.bytes += request.bytes;
        waiting.requests.push_back(request);
    }

    /// Waits for requests, and takes as many as one transaction holds. `None` once the queue is closed and empty.
    fn take(&self) -> Option<Vec<Request>> {
        let mut waiting = self.lock();
        while waiting.requests.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let mut bytes = 0;
        let fits = |request: &&Request| {
            bytes += request.transaction_bytes();
            bytes <= TRANSACTION_BYTES
        };
        let count = waiting.requests.iter().take_while(fits).count().max(1);
        Some(waiting.requests.drain(..count).collect())
    }

    fn release(&self, bytes: usize) {
        self.lock().bytes -= bytes;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of the writer's thread.
pub(super) struct Writer {
    connection: Connection,
    store: Store,
    checkpoints: Checkpoints,
    queue: Arc<Queue>,
    /// The number of transactions committed so far.
    commits: Arc<AtomicU64>,
    /// Whether a transaction failed, and nothing was stored since. A failure that lasts is logged once.
    is_failing: bool,
    /// Whether the database file says that the journal is open. Nothing is stored before that.
    is_marked: bool,
    /// The remains of a crash that could not be removed at the start.
    leftovers: Leftovers,
}

/// The reason why a transaction was not committed.
struct Failure {
    error: JournalError,
    /// Whether the commit itself failed. Then the transaction may be durable nevertheless.
    in_commit: bool,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        store: Store,
        checkpoints: Checkpoints,
        queue: Arc<Queue>,
        commits: Arc<AtomicU64>,
        is_marked: bool,
        leftovers: Leftovers,
    ) -> Self {
        Self { connection, store, checkpoints, queue, commits, is_failing: false, is_marked, leftovers }
    }

    /// Stores requests until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(requests) = self.queue.take() {
            let bytes = requests.iter().map(|request| request.bytes).sum();
            self.store_all(requests);
            self.queue.release(bytes);
            self.remove_leftovers();
            self.checkpoints.handle_commit(&self.connection);
        }
        let Self { connection, checkpoints, .. } = self;
        // This connection is closed last. It moves the log into the database only once the database no longer requires the log.
        drop(checkpoints);
        if let Err(error) = mark::close(&connection).and_then(|()| mark::keep_log(&connection, false)) {
            tracing::warn!(%error, "the journal could not be marked as closed; the next start recovers it from its log");
        }
    }

    /// Stores the requests in one transaction. If that fails, each gets a transaction of its own, so that the cause (such as a snapshot that is too
    /// large for the disk) does not affect the others.
    fn store_all(&mut self, requests: Vec<Request>) {
        match self.transact(&requests) {
            Ok(outcomes) => {
                requests.into_iter().zip(outcomes).for_each(|(request, outcome)| self.answer(request, outcome))
            }
            Err(failure) if requests.len() == 1 => {
                requests.into_iter().for_each(|request| self.settle(request, &failure))
            }
            Err(_) => requests.into_iter().for_each(|request| self.store_all(vec![request])),
        }
    }

    fn answer(&self, request: Request, outcome: Outcome) {
        match outcome {
            Outcome::More => self.queue.push_again(Request { portion: request.portion + 1, ..request }),
            outcome => request.answer.send(outcome),
        }
    }

    fn transact(&mut self, requests: &[Request]) -> Result<Vec<Outcome>, Failure> {
        let result = self.try_transact(requests);
        if result.is_err() {
            // The transaction is undone, here and in the database.
            self.store.forget();
            let _ = self.roll_back();
        }
        result
    }

    fn try_transact(&mut self, requests: &[Request]) -> Result<Vec<Outcome>, Failure> {
        let connection = &self.connection;
        let failure =
            |in_commit| move |error: rusqlite::Error| Failure { error: journal_error(connection, &error), in_commit };
        self.roll_back().map_err(failure(false))?;
        if !self.is_marked {
            mark::open(connection).map_err(failure(false))?;
            self.is_marked = true;
        }
        let changes = connection.total_changes();
        connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([])).map_err(failure(false))?;
        let perform = |request: &Request| self.store.perform(connection, &request.operation, request.portion);
        let outcomes = requests.iter().map(perform).collect::<Result<Vec<_>, _>>().map_err(failure(false))?;
        crash::point("before-commit");
        connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).map_err(failure(true))?;
        crash::point("committed-not-told");
        self.commits.fetch_add(1, Ordering::Relaxed);
        // A transaction that refused everything, or only removed something, succeeds on a full disk as well.
        let is_stored = requests.iter().zip(&outcomes).any(|(request, outcome)| request.operation.stores(outcome))
            && connection.total_changes() > changes;
        if is_stored && std::mem::take(&mut self.is_failing) {
            tracing::warn!("the journal can store events again");
        }
        Ok(outcomes)
    }

    /// Removes some of the remains of a crash, if the journal can store.
    fn remove_leftovers(&mut self) {
        if !self.leftovers.is_empty()
            && !self.is_failing
            && let Err(Failed::Storage(error)) = self.leftovers.remove_some(&self.connection)
        {
            tracing::debug!(%error, "the remains of a crash cannot be removed yet");
        }
    }

    /// Ends a transaction that a failure has left open.
    fn roll_back(&self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() { Ok(()) } else { self.connection.execute_batch("ROLLBACK") }
    }

    /// Sends the answer to a request whose own transaction failed, after checking whether it is stored nevertheless.
    fn settle(&mut self, request: Request, failure: &Failure) {
        let error = failure.error.clone();
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::error!(%error, "the journal cannot store events; it tries again with each further request");
        }
        if let Operation::PutSnapshot(new) = &request.operation {
            // The stored part of the snapshot takes up space, and a lack of space may be the cause.
            let (nobody, _) = oneshot::channel();
            self.queue.push_other(Operation::DropChunks(new.id()), 0, nobody);
        }
        match (&request.operation, request.answer) {
            (Operation::Append(room, record, _), Answer::Append(answer)) if failure.in_commit => {
                let appended = match self.store.holds(&self.connection, room, record) {
                    Ok(true) => Appended::Committed,
                    Ok(false) => Appended::Failed(error),
                    Err(_) => Appended::Unknown,
                };
                let _ = answer.send(appended);
            }
            (_, answer) => answer.fail(error),
        }
    }
}

impl Request {
    /// Returns the number of bytes that the request adds to a transaction. A snapshot adds one portion.
    fn transaction_bytes(&self) -> usize {
        match &self.operation {
            Operation::PutSnapshot(_) => self.bytes.min(CHUNK_BYTES),
            _ => self.bytes,
        }
    }
}

impl Answer {
    /// Sends the answer. If nobody waits for it any more, the outcome stays the same.
    fn send(self, outcome: Outcome) {
        match (self, outcome) {
            (Self::Append(answer), Outcome::Done | Outcome::More) => drop(answer.send(Appended::Committed)),
            (Self::Append(answer), Outcome::Conflict(head)) => drop(answer.send(Appended::Conflict { head })),
            (Self::Append(answer), Outcome::Refused(error)) => drop(answer.send(Appended::Failed(error))),
            (Self::Other(answer), Outcome::Refused(error)) => drop(answer.send(Err(error))),
            (Self::Other(answer), Outcome::Done | Outcome::More | Outcome::Conflict(_)) => drop(answer.send(Ok(()))),
        }
    }

    fn fail(self, error: JournalError) {
        self.send(Outcome::Refused(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::LogWriter;
    use crate::sqlite::readers::Readers;
    use crate::sqlite::schema;
    use crate::{NewRoom, SqliteJournal};

    /// Returns a writer of a new journal, which runs in the test's own thread.
    fn writer(directory: &std::path::Path) -> Writer {
        drop(SqliteJournal::open(directory).unwrap());
        let file = directory.join(schema::DATABASE_FILE);
        let mut connection = schema::open_writer(&file).unwrap();
        let paused = Arc::clone(Readers::start(&file).unwrap().queue());
        let own = schema::open_checkpointer(&file).unwrap();
        let checkpoints = Checkpoints::start(&mut connection, own, paused).unwrap();
        let store = Store::new(Default::default());
        Writer::new(connection, store, checkpoints, Arc::default(), Arc::default(), false, Leftovers::default())
    }

    #[test]
    fn the_journal_stores_again_only_once_something_was_stored() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path());
        let mut is_failing_after = |operation: Operation| {
            let (answer, _) = oneshot::channel();
            let request = Request { operation, answer: Answer::Other(answer), bytes: 0, portion: 0 };
            writer.is_failing = true;
            assert_eq!(writer.transact(&[request]).ok().map(|outcomes| outcomes.len()), Some(1));
            writer.is_failing
        };
        let genesis = LogWriter::new("counter", "lobby").genesis;
        let create = || Operation::CreateRoom(NewRoom::of(genesis.clone()));
        assert!(!is_failing_after(create()));
        for stores_nothing in [create(), Operation::Wait, Operation::DropChunks(7)] {
            let told = format!("{stores_nothing:?}");
            assert!(is_failing_after(stores_nothing), "{told}");
        }
    }
}
