//! The threads that read, each with its own connection: a read waits for no write, and a write for no read.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::schema;
use crate::journal::JournalError;

/// How many threads read.
const READERS: usize = 2;

/// Reads that may wait for a thread, of the whole host.
const READS_WAITING_MAX: usize = 4096;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The pool. Dropping it waits for the reads under way.
pub(super) struct Readers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

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
                    }
                })
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Enqueues a read, and gives where its answer comes. It is left out if nobody waits for it any more.
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

    /// Runs `job` on one of the threads; at once, and with the error, if too much is waiting.
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
    /// `None` once the queue is closed and empty.
    fn take(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
