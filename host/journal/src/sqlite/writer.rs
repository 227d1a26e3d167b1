//! The one thread that writes: it takes all that every room has waiting, stores it in one transaction, and then answers.
//!
//! So one fdatasync serves everyone who came while the one before was under way, and nobody waits for company.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use reapply_sync::RoomId;
use reapply_sync::room::Note;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoint::Checkpoints;
use super::mark;
use super::row::{Failed, journal_error};
use super::snapshots::CHUNK_BYTES;
use super::store::{Operation, Outcome, Store};
use super::sweep::Leftovers;
use crate::crash;
use crate::{Appended, JournalError, Record};

/// Bytes that may wait for the writer, of the whole host: the largest snapshot, and as much again.
pub(super) const QUEUE_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Bytes after which a transaction is closed. One larger operation still goes whole.
const TRANSACTION_BYTES: usize = 8 * 1024 * 1024;

/// What a request weighs in the queue besides its body.
const REQUEST_BYTES: usize = 256;

/// Where requests wait for the writer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: VecDeque<Request>,
    /// The bytes of the requests, those that the writer has taken and not yet answered included.
    bytes: usize,
    closed: bool,
}

/// An operation, and who waits for it.
#[derive(Debug)]
struct Request {
    operation: Operation,
    answer: Answer,
    bytes: usize,
    /// How many portions of it are stored already.
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

    /// Lets the writer end once it has stored what is waiting.
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

    /// Puts a request at the end of the queue again, for the next portion of it.
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

/// The writer's thread, with what is its alone.
pub(super) struct Writer {
    connection: Connection,
    store: Store,
    checkpoints: Checkpoints,
    queue: Arc<Queue>,
    /// Transactions committed so far.
    commits: Arc<AtomicU64>,
    /// Whether the last transaction failed: a failure that lasts is logged once.
    is_failing: bool,
    /// Whether the database file says that it is open. Nothing is stored before.
    is_marked: bool,
    /// What a crash left and could not be removed at the start.
    leftovers: Leftovers,
}

/// Why a transaction was not committed.
struct Failure {
    error: JournalError,
    /// Whether it was the commit itself that failed, so that the transaction may have become durable nevertheless.
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

    /// Stores what comes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(requests) = self.queue.take() {
            let bytes = requests.iter().map(|request| request.bytes).sum();
            self.store_all(requests);
            self.queue.release(bytes);
            self.remove_leftovers();
            self.checkpoints.handle_commit(&self.connection);
        }
        let Self { connection, checkpoints, .. } = self;
        // This connection is the last to be closed. It moves the log into the database only once that does not ask for the log any more.
        drop(checkpoints);
        if let Err(error) = mark::close(&connection).and_then(|()| mark::keep_log(&connection, false)) {
            tracing::warn!(%error, "the journal could not be marked as closed; the next start recovers it from its log");
        }
    }

    /// Stores the requests in one transaction. Where that fails, each gets one of its own, so that what is to blame (a snapshot too
    /// large for the disk, say) takes nothing else with it.
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
            // What the transaction did is undone, here and in the database.
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
        connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([])).map_err(failure(false))?;
        let perform = |request: &Request| self.store.perform(connection, &request.operation, request.portion);
        let outcomes = requests.iter().map(perform).collect::<Result<Vec<_>, _>>().map_err(failure(false))?;
        crash::point("before-commit");
        connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).map_err(failure(true))?;
        crash::point("committed-not-told");
        self.commits.fetch_add(1, Ordering::Relaxed);
        if std::mem::take(&mut self.is_failing) {
            tracing::warn!("the journal stores again");
        }
        Ok(outcomes)
    }

    /// Removes some of what a crash left, where storing works again.
    fn remove_leftovers(&mut self) {
        if !self.leftovers.is_empty()
            && !self.is_failing
            && let Err(Failed::Storage(error)) = self.leftovers.remove_some(&self.connection)
        {
            tracing::debug!(%error, "what a crash left cannot be removed yet");
        }
    }

    /// Ends a transaction that a failure has left open.
    fn roll_back(&self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() { Ok(()) } else { self.connection.execute_batch("ROLLBACK") }
    }

    /// Answers a request whose own transaction failed, once it is known whether it is stored.
    fn settle(&mut self, request: Request, failure: &Failure) {
        let error = failure.error.clone();
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::error!(%error, "the journal cannot store; it goes on trying with what comes");
        }
        if let Operation::PutSnapshot(new) = &request.operation {
            // What is stored of it takes up room, which may be what is short.
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
    /// What it adds to a transaction: of a snapshot, a portion at a time.
    fn transaction_bytes(&self) -> usize {
        match &self.operation {
            Operation::PutSnapshot(_) => self.bytes.min(CHUNK_BYTES),
            _ => self.bytes,
        }
    }
}

impl Answer {
    /// Nobody may be waiting any more; what was done stays done.
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
