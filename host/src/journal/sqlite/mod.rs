//! The embedded journal: one SQLite database in the data directory.
//!
//! One thread writes and a few read (`writer`, `readers`); what they do is in `store` and `query`, on the tables of
//! `schema`. A commit is one fdatasync of SQLite's write-ahead log, which is laid out beforehand (`wal`) and moved into the
//! database beside the commits (`checkpoint`). The start proves all that is stored (`verify`), so it takes time in
//! proportion to the data.

mod checkpoint;
mod query;
mod readers;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod verify;
mod wal;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use reapply_sync::{Digest, Genesis, Name, RoomId, Seq, Snapshot, Timestamp};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::oneshot;

use self::checkpoint::{Checkpoints, LAID_OUT_FRAMES};
use self::query::journal_error;
use self::readers::Readers;
use self::schema::{DATABASE_FILE, PAGE_BYTES, WAL_FILE};
use self::store::Operation;
use self::wal::WalError;
use self::writer::{Queue, Writer};
use super::directory::{DataDirectory, OpenError};
use super::{Answer, Appending, Component, Journal, JournalError, MachineRecord, Record, RoomRecord};
use crate::crash;

/// The embedded journal. It has its data directory to itself until it is dropped.
///
/// Dropping it stores what is waiting, and then waits for its threads: a moment, on the thread that drops it.
#[derive(Debug)]
pub struct SqliteJournal {
    queue: Arc<Queue>,
    /// Dropped before the writer ends, so that the writer's connection is the last one: closing that one leaves one tidy file.
    readers: Option<Arc<Readers>>,
    writer: Option<JoinHandle<()>>,
    commits: Arc<AtomicU64>,
    /// Let go last of all.
    _directory: DataDirectory,
}

/// A journal that has been opened, and what its operator should know.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: SqliteJournal,
    /// What was found and mended: an unfinished record that a crash had left.
    pub warnings: Vec<String>,
}

impl SqliteJournal {
    /// Opens the journal in a data directory, and makes both if they are missing. Blocks while it proves all that is stored.
    ///
    /// # Errors
    ///
    /// The directory is in use, not writable, or of a newer format; or what is stored is damaged. Each error says where.
    pub fn open(directory: &Path) -> Result<Opened, OpenError> {
        let directory = DataDirectory::open(directory)?;
        let file = directory.path().join(DATABASE_FILE);
        let warnings = recover(&directory, &file)?;
        let storage = |error: &dyn ToString| OpenError::Storage { file: file.clone(), error: error.to_string() };

        let mut connection = schema::open_writer(&file)?;
        let own = schema::open_checkpointer(&file).map_err(|error| storage(&error))?;
        let checkpoints = Checkpoints::start(&mut connection, own).map_err(|error| storage(&error))?;
        let readers = Readers::start(&file).map_err(|error| storage(&error))?;
        let (queue, commits) = (Arc::<Queue>::default(), Arc::<AtomicU64>::default());
        let writer = Writer::new(connection, checkpoints, queue.clone(), commits.clone());
        let writer = thread::Builder::new()
            .name("journal-write".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| storage(&error))?;
        let journal =
            Self { queue, readers: Some(Arc::new(readers)), writer: Some(writer), commits, _directory: directory };
        Ok(Opened { journal, warnings })
    }

    /// Transactions committed since it was opened. Fewer than the appends, when many come at once.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'static, T> {
        let read = move |connection: &Connection| read(connection).map_err(|error| journal_error(connection, &error));
        answer(self.readers.as_ref().map(|readers| readers.read(read)))
    }

    /// Stores what `prepare` makes on one of the readers' threads: it may have to encode and hash a lot of bytes.
    fn write_prepared(
        &self,
        prepare: impl FnOnce() -> Result<(Operation, usize), JournalError> + Send + 'static,
    ) -> Answer<'static, ()> {
        let (sender, receiver) = oneshot::channel();
        let queue = self.queue.clone();
        if let Some(readers) = &self.readers {
            readers.run(move |connection| match connection.and_then(|_| prepare()) {
                Ok((operation, bytes)) => queue.push_other(operation, bytes, sender),
                Err(error) => drop(sender.send(Err(error))),
            });
        }
        answer(Some(receiver))
    }

    fn write(&self, operation: Operation) -> Answer<'static, ()> {
        let (sender, receiver) = oneshot::channel();
        self.queue.push_other(operation, 0, sender);
        answer(Some(receiver))
    }
}

impl Journal for SqliteJournal {
    fn append(&self, room: &RoomId, record: Record) -> Appending {
        let (answer, appending) = Appending::new();
        self.queue.append(room, record, answer);
        appending
    }

    fn create_room(&self, genesis: Genesis) -> Answer<'_, ()> {
        self.write(Operation::CreateRoom(genesis))
    }

    fn room(&self, room: &RoomId) -> Answer<'_, Option<RoomRecord>> {
        let room = room.clone();
        self.read(move |connection| query::room(connection, &room))
    }

    fn rooms(&self, machine: Option<&Name>, after: Option<&RoomId>, count_max: usize) -> Answer<'_, Vec<RoomRecord>> {
        let (machine, after) = (machine.cloned(), after.cloned());
        self.read(move |connection| query::rooms(connection, machine.as_ref(), after.as_ref(), count_max))
    }

    fn read(&self, room: &RoomId, after: Seq, bytes_max: usize) -> Answer<'_, Vec<Record>> {
        let id = room.clone();
        let records = self.read(move |connection| query::read(connection, &id, after, bytes_max));
        or_no_such_room(room, records)
    }

    fn put_snapshot(&self, room: &RoomId, snapshot: Snapshot) -> Answer<'_, ()> {
        let room = room.clone();
        self.write_prepared(move || {
            let body = postcard::to_allocvec(&snapshot).map_err(|error| JournalError::Storage(error.to_string()))?;
            let (seq, chain, hash, bytes) = (snapshot.seq, snapshot.chain, Digest::of(&body), body.len());
            Ok((Operation::PutSnapshot { room, seq, chain, hash, body: Bytes::from(body) }, bytes))
        })
    }

    fn snapshot(&self, room: &RoomId, at_most: Option<Seq>) -> Answer<'_, Option<Snapshot>> {
        let id = room.clone();
        or_no_such_room(room, self.read(move |connection| query::snapshot(connection, &id, at_most)))
    }

    fn put_component(&self, component: Component) -> Answer<'_, ()> {
        self.write_prepared(move || {
            if Digest::of(&component.bytes) != component.digest {
                return Err(JournalError::ComponentMismatch(component.digest));
            }
            let hash = component_hash(&component.description, &component.browser_js);
            let bytes = component.bytes.len() + component.description.len() + component.browser_js.len();
            Ok((Operation::PutComponent { component, hash }, bytes))
        })
    }

    fn component(&self, digest: Digest) -> Answer<'_, Option<Component>> {
        self.read(move |connection| query::component(connection, digest))
    }

    fn set_current(&self, machine: &Name, digest: Digest, time: Timestamp) -> Answer<'_, ()> {
        self.write(Operation::SetCurrent { machine: machine.clone(), digest, time })
    }

    fn machines(&self) -> Answer<'_, Vec<MachineRecord>> {
        self.read(query::machines)
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        self.readers = None;
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Looks at what a crash may have left, lets SQLite recover it, proves it all, and lays out a new write-ahead log.
fn recover(directory: &DataDirectory, file: &Path) -> Result<Vec<String>, OpenError> {
    let storage = |error: &dyn ToString| OpenError::Storage { file: file.to_owned(), error: error.to_string() };
    let wal_file = directory.path().join(WAL_FILE);
    let report = wal::inspect(&wal_file).map_err(|error| match error {
        WalError::Io(error) => OpenError::Storage { file: wal_file.clone(), error: error.to_string() },
        WalError::Damaged { place, what } => {
            OpenError::Damaged { file: wal_file.clone(), place, what: what.to_owned() }
        }
    })?;
    let is_empty = file.metadata().map_or(true, |metadata| metadata.len() == 0);
    if is_empty && report.frames_committed > 0 {
        // SQLite would take the records in the log for leftovers, and delete them.
        let what = "it is missing or empty, while its write-ahead log holds records".to_owned();
        return Err(OpenError::Damaged { file: file.to_owned(), place: "its start".to_owned(), what });
    }
    let mut warnings = Vec::new();
    if report.bytes_torn > 0 {
        let (path, bytes) = (wal_file.display(), report.bytes_torn);
        let warning = format!(
            "{path} ended in a record that a crash had left unfinished: its {bytes} bytes were dropped, and all before it is recovered"
        );
        tracing::warn!("{warning}");
        warnings.push(warning);
    }
    let connection = schema::open_writer(file)?;
    // Nothing is moved into a database that is not proved yet.
    let keep_log = |keep| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop);
    keep_log(true).map_err(|error| storage(&error))?;
    verify::verify(&connection, file)?;
    crash::point("proved-not-mended");
    // Closing the only connection moves the old log into the database, and removes it.
    keep_log(false).map_err(|error| storage(&error))?;
    connection.close().map_err(|(_, error)| storage(&error))?;
    if !wal_file.exists()
        && let Err(error) = wal::lay_out(&wal_file, LAID_OUT_FRAMES, PAGE_BYTES)
    {
        tracing::warn!(file = %wal_file.display(), %error, "the write-ahead log could not be laid out beforehand; commits will be slower");
    }
    directory.sync().map_err(|error| storage(&error))?;
    crash::point("mended-not-served");
    Ok(warnings)
}

/// The hash of what is stored of a component besides its bytes.
fn component_hash(description: &str, browser_js: &str) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(description.len() as u64).to_le_bytes());
    hasher.update(description.as_bytes());
    hasher.update(browser_js.as_bytes());
    Digest(*hasher.finalize().as_bytes())
}

fn answer<T: Send + 'static>(receiver: Option<oneshot::Receiver<Result<T, JournalError>>>) -> Answer<'static, T> {
    Box::pin(async move {
        match receiver {
            Some(receiver) => receiver.await.unwrap_or(Err(JournalError::Closed)),
            None => Err(JournalError::Closed),
        }
    })
}

fn or_no_such_room<T: Send + 'static>(room: &RoomId, found: Answer<'static, Option<T>>) -> Answer<'static, T> {
    let room = room.clone();
    Box::pin(async move { found.await?.ok_or(JournalError::NoSuchRoom(room)) })
}
