//! The reader threads, each with its own connection: reads and writes do not wait for each other.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::schema;
use crate::JournalError;

/// The number of reader threads.
const READERS: usize = 2;

/// The maximum number of waiting reads of the whole host.
const READS_WAITING_MAX: usize = 4096;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The pool. Dropping it waits for the reads in progress.
pub(super) struct Readers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Signalled when there is a read to do, or a pause has ended.
    filled: Condvar,
    /// Signalled when a read has ended.
    ended: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// The number of reads in progress.
    running: usize,
    /// Whether no read may begin.
    paused: bool,
    closed: bool,
}

/// A pause: no read is in progress or begins until it is dropped.
pub(super) struct Pause<'a>(&'a Queue);

impl Readers {
    /// Starts the threads.
    pub(super) fn start(file: &Path) -> rusqlite::Result<Self> {
        let mut readers = Self { queue: Arc::default(), threads: Vec::with_capacity(READERS) };
        for index in 0..READERS {
            let connection = schema::open_reader(file)?;
            let queue = readers.queue.clone();
            let thread = thread::Builder::new()
                .name(format!("journal-read-{index}"))
                .spawn(move || {
                    while let Some(job) = queue.take() {
                        job(&connection);
                        queue.end();
                    }
                })
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Returns the queue of reads, which can be paused.
    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Enqueues a read, and returns the channel of its answer. The read is skipped if nobody waits for it any more.
    pub(super) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, JournalError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, JournalError>> {
        let (answer, receiver) = oneshot::channel();
        self.run(move |connection| {
            let _ = match connection {
                Ok(_) if answer.is_closed() => Ok(()),
                Ok(connection) => answer.send(read(connection)).map_err(drop),
                Err(error) => answer.send(Err(error)).map_err(drop),
            };
        });
        receiver
    }

    /// Runs `job` on one of the threads; or at once, with the error, if too much is waiting.
    pub(super) fn run(&self, job: impl FnOnce(Result<&Connection, JournalError>) + Send + 'static) {
        let mut queued = self.queue.lock();
        let waiting = queued.jobs.len();
        if waiting >= READS_WAITING_MAX {
            drop(queued);
            return job(Err(JournalError::QueueFull { waiting, waiting_max: READS_WAITING_MAX, unit: "reads" }));
        }
        queued.jobs.push_back(Box::new(|connection| job(Ok(connection))));
        drop(queued);
        self.queue.filled.notify_one();
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.filled.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Queue {
    /// Prevents further reads, and waits for those in progress. Returns `None` if they take longer than `at_most`.
    pub(super) fn pause(&self, at_most: Duration) -> Option<Pause<'_>> {
        let mut waiting = self.lock();
        waiting.paused = true;
        let pause = Pause(self);
        let still_reading = |waiting: &mut Waiting| waiting.running > 0;
        let (waiting, _) =
            self.ended.wait_timeout_while(waiting, at_most, still_reading).unwrap_or_else(PoisonError::into_inner);
        let is_still = waiting.running == 0;
        drop(waiting);
        is_still.then_some(pause)
    }

    /// Returns the next read; `None` once the queue is closed and empty.
    fn take(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            if !waiting.paused {
                if let Some(job) = waiting.jobs.pop_front() {
                    waiting.running += 1;
                    return Some(job);
                }
                if waiting.closed {
                    return None;
                }
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Records the end of a read that was taken.
    fn end(&self) {
        self.lock().running -= 1;
        self.ended.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.lock().paused = false;
        self.0.filled.notify_all();
    }
}
