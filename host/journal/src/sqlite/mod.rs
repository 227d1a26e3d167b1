//! The embedded journal: one SQLite database in the data directory.
//!
//! One thread writes and a few read (`writer`, `readers`). The tables are in `formats`, and the operations on them in `log`, `rooms`,
//! `snapshots`, `rejections` and `machines`. The writer calls `store`, `sweep` removes rows that no log needs any more, and `leftovers`
//! removes the remains of a crash.
//! A commit is one fdatasync of SQLite's write-ahead log, which is laid out beforehand (`wal`) and moved into the database during
//! other commits (`checkpoint`). Rooms are proved when they are first used, and everything else in the background (`proofs`, `verify`), so the
//! time of a start does not depend on the amount of data.

mod authors;
mod backup;
mod checkpoint;
mod formats;
mod leftovers;
mod log;
mod machines;
mod mark;
mod notes;
mod outcome;
mod proofs;
mod readers;
mod rejections;
mod room_row;
mod rooms;
mod row;
mod schema;
mod snapshots;
mod space;
mod store;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
mod unfinished;
mod verify;
mod wal;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use reapply_sync::room::Note;
use reapply_sync::{Author, Digest, Name, RoomId, Seq, Snapshot, Timestamp};
use rusqlite::Connection;
use tokio::sync::oneshot;
use tracing::warn;

use self::checkpoint::Checkpoints;
use self::leftovers::Leftovers;
use self::proofs::{Proof, Proofs};
use self::readers::Readers;
use self::room_row::RoomRow;
use self::row::{Failed, journal_error};
use self::schema::PAGE_BYTES;
pub use self::schema::{DATABASE_FILE, WAL_FILE};
use self::snapshots::NewSnapshot;
use self::store::{Operation, Store};
use self::wal::{LAID_OUT_FRAMES, WalError, WalReport};
use self::writer::{Queue, Writer};
use super::directory::{DataDirectory, OpenJournalError};
use super::{
    Answer, Appending, Component, Hold, Holds, Journal, JournalError, MachineRecord, NewRoom, OpeningBytes, Record,
    RejectionCount, Retention, RoomRecord, ScrubReport, SnapshotRecord,
};
use crate::crash;

/// The embedded journal. Until it is dropped, no other journal can open its data directory.
///
/// On drop it stores everything that is waiting, and then waits for its threads. That blocks the dropping thread for a moment.
#[derive(Debug)]
pub struct SqliteJournal {
    queue: Arc<Queue>,
    /// Dropped before the writer ends, so that the writer's connection is closed last: closing the last one removes the log.
    readers: Option<Arc<Readers>>,
    proofs: Option<Proofs>,
    writer: Option<JoinHandle<()>>,
    commits: Arc<AtomicU64>,
    holds: Holds,
    file: PathBuf,
    /// Released last of all.
    _directory: DataDirectory,
}

/// The treatment of a journal that was open when its host ended, and whose write-ahead log is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostLog {
    /// The journal is not opened, since the newest acknowledged events are missing.
    Refused,
    /// The journal is opened without those events, with a warning.
    Accepted,
}

/// The time at which the stored data is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proving {
    /// All data, before the journal is opened. That takes time in proportion to the data.
    First,
    /// Each room when it is first used, and the rest in the background.
    WhenUsed,
}

/// A journal that was opened, with warnings for the operator.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: SqliteJournal,
    /// The damage that was found and repaired: an unfinished record that a crash had left.
    pub warnings: Vec<String>,
}

impl SqliteJournal {
    /// Opens the journal in a data directory, and creates both if they are missing. Checks the files that a crash can have torn. Stored data is
    /// proved when it is first used, and in the background.
    ///
    /// # Errors
    ///
    /// The directory is in use, not writable, or of a newer format, or the stored data is damaged. The error says where.
    pub fn open(directory: &Path) -> Result<Opened, OpenJournalError> {
        Self::open_with(directory, LostLog::Refused, Proving::WhenUsed)
    }

    /// Opens a journal like [`SqliteJournal::open`], with a choice of the treatment of a lost write-ahead log, and of the time of proofs.
    ///
    /// # Errors
    ///
    /// The same as for [`SqliteJournal::open`]. With [`Proving::First`] every damage is found, and with [`LostLog::Accepted`] a lost log is not
    /// an error.
    pub fn open_with(directory: &Path, lost_log: LostLog, proving: Proving) -> Result<Opened, OpenJournalError> {
        let directory = DataDirectory::open(directory)?;
        let file = directory.path().join(DATABASE_FILE);
        let warnings = recover(&directory, &file, lost_log, proving)?;
        let storage = |error: &dyn ToString| OpenJournalError::Storage { file: file.clone(), error: error.to_string() };

        let mut connection = schema::open_writer(&file)?;
        // If the start fails after the mark is set, the log must stay, since the mark requires it.
        mark::keep_log(&connection, true).map_err(|error| storage(&error))?;
        let marked = mark::open(&connection);
        let is_marked = marked
            .inspect_err(|error| warn!(%error, "the journal cannot store events yet; it serves the stored data"))
            .is_ok();
        let leftovers = Leftovers::remove_at_start(&connection, &file)?;
        let own = schema::open_checkpointer(&file).map_err(|error| storage(&error))?;
        let readers = Readers::start(&file).map_err(|error| storage(&error))?;
        let paused = Arc::clone(readers.queue());
        let checkpoints = Checkpoints::start(&mut connection, own, paused).map_err(|error| storage(&error))?;
        let (queue, commits) = (Arc::<Queue>::default(), Arc::<AtomicU64>::default());
        let holds = Holds::default();
        let store = Store::new(holds.clone());
        let writer = Writer::new(connection, store, checkpoints, queue.clone(), commits.clone(), is_marked, leftovers);
        let writer = thread::Builder::new()
            .name("journal-write".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| storage(&error))?;
        let proofs = Proofs::start(&file, proving == Proving::First, queue.clone()).map_err(|error| storage(&error))?;
        let (readers, proofs, writer) = (Some(Arc::new(readers)), Some(proofs), Some(writer));
        let journal = Self { queue, readers, proofs, writer, commits, holds, file, _directory: directory };
        Ok(Opened { journal, warnings })
    }

    /// Returns the number of transactions since the journal was opened. Appends that come at the same time share one.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Reads on one of the readers' threads, within one transaction.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> Answer<'static, T> {
        let read = move |connection: &Connection| {
            let transaction = connection.unchecked_transaction().map_err(Failed::from);
            transaction.and_then(|_open| read(connection)).map_err(|failed| match failed {
                Failed::Refused(error) => error,
                Failed::Storage(error) => journal_error(connection, &error),
            })
        };
        answer(self.readers.as_ref().map(|readers| readers.read(read)))
    }

    /// Reads data of one room, once that room is proved.
    fn read_room<T: Send + 'static>(
        &self,
        room: &RoomId,
        read: impl FnOnce(&Connection, &RoomId) -> Result<T, Failed> + Send + 'static,
    ) -> Answer<'_, T> {
        let proof = self.proofs.as_ref().map(|proofs| proofs.of(room));
        let room = room.clone();
        match proof {
            Some(Proof::Done) => self.read(move |connection| read(connection, &room)),
            Some(Proof::Refused(error)) => Box::pin(async move { Err(error) }),
            Some(Proof::UnderWay(proved)) => Box::pin(async move {
                proved.await.unwrap_or(Err(JournalError::Closed))?;
                self.read(move |connection| read(connection, &room)).await
            }),
            None => answer(None),
        }
    }

    /// Stores the operation that `prepare` makes. It runs on one of the readers' threads, since it may encode and hash many bytes.
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
    fn append(&self, room: &RoomId, record: Record, note: Note) -> Appending {
        let (answer, appending) = Appending::new();
        self.queue.append(room, record, note, answer);
        appending
    }

    fn read(&self, room: &RoomId, after: Seq, bytes_max: usize) -> Answer<'_, Vec<Record>> {
        self.read_room(room, move |connection, room| log::read(connection, room, after, bytes_max))
    }

    fn skip(&self, room: &RoomId, after: Seq, authors: &[Author]) -> Answer<'_, Seq> {
        let mut authors: Vec<u64> = authors.iter().map(|author| authors::hash(&author.0)).collect();
        authors.sort_unstable();
        self.read_room(room, move |connection, room| rooms::skip(connection, room, after, &authors))
    }

    fn build_at(&self, room: &RoomId, seq: Seq) -> Answer<'_, Digest> {
        self.read_room(room, move |connection, room| {
            let room = RoomRow::of(connection, room)?;
            match room.start() {
                (begins, _) if seq < begins => Err(JournalError::Trimmed { room: room.room, begins }.into()),
                _ => Ok(log::build_at(connection, &room, seq)?),
            }
        })
    }

    fn trim(&self, room: &RoomId, upto: Seq) -> Answer<'_, ()> {
        self.write(Operation::Trim(room.clone(), upto))
    }

    fn hold(&self, room: &RoomId) -> Answer<'_, Hold> {
        let hold = self.holds.hold(room);
        // An earlier trim is stored when this is answered, and a later one sees the hold.
        let stored = self.write(Operation::Wait);
        Box::pin(async move { stored.await.map(|()| hold) })
    }

    fn create_room(&self, room: NewRoom) -> Answer<'_, ()> {
        let id = room.room.clone();
        let stored = self.write(Operation::CreateRoom(room));
        Box::pin(async move {
            stored.await?;
            self.proofs.as_ref().inspect(|proofs| proofs.note(&id));
            Ok(())
        })
    }

    fn publish(&self, room: &RoomId) -> Answer<'_, ()> {
        self.write(Operation::Publish(room.clone()))
    }

    fn discard(&self, room: &RoomId) -> Answer<'_, ()> {
        self.write(Operation::Discard(room.clone()))
    }

    fn room(&self, room: &RoomId) -> Answer<'_, Option<RoomRecord>> {
        self.read_room(room, rooms::room)
    }

    fn rooms(&self, machine: Option<&Name>, after: Option<&RoomId>, count_max: usize) -> Answer<'_, Vec<RoomRecord>> {
        let (machine, after) = (machine.cloned(), after.cloned());
        self.read(move |connection| rooms::rooms(connection, machine.as_ref(), after.as_ref(), count_max))
    }

    fn builds(&self, machine: &Name) -> Answer<'_, Vec<(Digest, u64)>> {
        let machine = machine.clone();
        self.read(move |connection| rooms::builds(connection, &machine))
    }

    fn set_note(&self, room: &RoomId, note: Note) -> Answer<'_, ()> {
        self.write(Operation::SetNote(room.clone(), note))
    }

    fn alarms(&self, count_max: usize) -> Answer<'_, Vec<(RoomId, Timestamp)>> {
        self.read(move |connection| notes::alarms(connection, count_max))
    }

    fn occupied(&self, after: Option<&RoomId>, count_max: usize) -> Answer<'_, Vec<RoomId>> {
        let after = after.cloned();
        self.read(move |connection| notes::occupied(connection, after.as_ref(), count_max))
    }

    fn count_rejections(&self, room: &RoomId, counts: Vec<RejectionCount>) -> Answer<'_, ()> {
        self.write(Operation::CountRejections(room.clone(), counts))
    }

    fn rejections(&self, room: &RoomId) -> Answer<'_, Vec<RejectionCount>> {
        self.read_room(room, rejections::rejections)
    }

    fn put_snapshot(&self, room: &RoomId, snapshot: Snapshot) -> Answer<'_, ()> {
        let (room, file) = (room.clone(), self.file.clone());
        self.write_prepared(move || {
            let new = NewSnapshot::new(room, snapshot).map_err(|error| JournalError::Storage(error.to_string()))?;
            let bytes = new.bytes();
            if new.portions() > 1 {
                space::probe(&file, new.id(), bytes)?;
            }
            Ok((Operation::PutSnapshot(new), bytes))
        })
    }

    fn snapshot(&self, room: &RoomId, at_most: Option<Seq>) -> Answer<'_, Option<Snapshot>> {
        self.read_room(room, move |connection, room| snapshots::snapshot(connection, room, at_most))
    }

    fn snapshots(&self, room: &RoomId) -> Answer<'_, Vec<SnapshotRecord>> {
        self.read_room(room, snapshots::snapshots)
    }

    fn opening_bytes(&self, room: &RoomId) -> Answer<'_, OpeningBytes> {
        self.read_room(room, snapshots::opening_bytes)
    }

    fn put_component(&self, component: Component) -> Answer<'_, ()> {
        self.write_prepared(move || {
            let Component { digest, bytes, description } = &component;
            if Digest::of(bytes) != *digest {
                return Err(JournalError::ComponentMismatch(*digest));
            }
            let checksum = machines::component_checksum(*digest, description, machines::NO_BROWSER_JS)
                .map_err(|error| JournalError::Storage(error.to_string()))?;
            let bytes = bytes.len() + description.len();
            Ok((Operation::PutComponent { component, checksum }, bytes))
        })
    }

    fn component(&self, digest: Digest) -> Answer<'_, Option<Component>> {
        self.read(move |connection| machines::component(connection, digest))
    }

    fn digests(&self, first: Digest, last: Digest, count_max: usize) -> Answer<'_, Vec<Digest>> {
        self.read(move |connection| machines::digests(connection, first, last, count_max))
    }

    fn set_current(&self, machine: &Name, digest: Digest, time: Timestamp) -> Answer<'_, ()> {
        self.write(Operation::SetCurrent { machine: machine.clone(), digest, time })
    }

    fn set_retention(&self, machine: &Name, retention: Retention) -> Answer<'_, ()> {
        self.write(Operation::SetRetention(machine.clone(), retention))
    }

    fn machines(&self) -> Answer<'_, Vec<MachineRecord>> {
        self.read(machines::machines)
    }

    fn scrub(&self, again: bool) -> ScrubReport {
        self.proofs.as_ref().map(|proofs| proofs.scrub(again)).unwrap_or_default()
    }

    fn backup(&self, to: &Path) -> Answer<'_, ()> {
        let (sender, receiver) = oneshot::channel();
        let (file, to) = (self.file.clone(), to.to_owned());
        // On a thread of its own: a backup takes a while, and the readers are needed meanwhile.
        let started = thread::Builder::new()
            .name("journal-backup".to_owned())
            .spawn(move || drop(sender.send(backup::backup(&file, &to))));
        match started {
            Ok(_) => answer(Some(receiver)),
            Err(error) => Box::pin(async move { Err(JournalError::Storage(error.to_string())) }),
        }
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        (self.readers, self.proofs) = (None, None);
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Inspects the files that a crash may have left, makes SQLite recover them, and lays out a new write-ahead log.
fn recover(
    directory: &DataDirectory,
    file: &Path,
    lost_log: LostLog,
    proving: Proving,
) -> Result<Vec<String>, OpenJournalError> {
    let storage = |error: &dyn ToString| OpenJournalError::Storage { file: file.to_owned(), error: error.to_string() };
    let wal_file = directory.path().join(WAL_FILE);
    let report = inspect(file, &wal_file)?;
    let mut warnings = Vec::new();
    if report.bytes_torn > 0 {
        let (path, bytes) = (wal_file.display(), report.bytes_torn);
        warnings.push(format!(
            "{path} ended in a record that a crash had left unfinished: its {bytes} bytes were dropped, and everything before it is recovered"
        ));
    }
    directory.keep_private(DATABASE_FILE).map_err(|error| storage(&error))?;
    let (connection, format) = schema::open_as_it_is(file)?;
    // The log is not moved into a database that must be proved first.
    mark::keep_log(&connection, true).map_err(|error| storage(&error))?;
    let is_open = || mark::read(&connection).map(|state| state.is_open);
    let was_open = if format == 0 { Ok(false) } else { is_open() };
    let was_open = was_open.map_err(|error| schema::refusal(file, "the journal's state", &error))?;
    // Before a migration, which restarts the log.
    if was_open && !report.is_begun {
        if lost_log == LostLog::Refused {
            return Err(OpenJournalError::LogLost { file: file.to_owned(), log: wal_file });
        }
        let file = file.display();
        warnings
            .push(format!("{file} lost its write-ahead log, and was opened without the newest acknowledged events"));
    }
    schema::migrate(&connection, file, format)?;
    if proving == Proving::First {
        let dropped = verify::verify(&connection, file)?.drop_from(&connection).map_err(|error| storage(&error))?;
        warnings.extend(dropped.map(|what| format!("{}: {what}", file.display())));
    }
    crash::point("proved-not-mended");
    // The log is removed only if the database, with everything moved into it, no longer requires the log.
    let is_closed = !was_open || mark::close(&connection).is_ok();
    mark::keep_log(&connection, !is_closed).map_err(|error| storage(&error))?;
    // Closing the only connection moves the old log into the database, and removes it.
    connection.close().map_err(|(_, error)| storage(&error))?;
    if !wal_file.exists()
        && let Err(error) = wal::lay_out(&wal_file, LAID_OUT_FRAMES, PAGE_BYTES)
    {
        warn!(file = %wal_file.display(), %error, "the write-ahead log could not be laid out beforehand; commits will be slower");
    }
    directory.sync().map_err(|error| storage(&error))?;
    crash::point("mended-not-served");
    Ok(warnings)
}

/// Inspects the write-ahead log before SQLite does.
fn inspect(file: &Path, wal_file: &Path) -> Result<WalReport, OpenJournalError> {
    let report = wal::inspect(wal_file).map_err(|error| match error {
        WalError::Io(error) => OpenJournalError::Storage { file: wal_file.to_owned(), error: error.to_string() },
        WalError::Damaged { place, what } => {
            OpenJournalError::Damaged { file: wal_file.to_owned(), place, what: what.to_owned() }
        }
    })?;
    let is_empty = file.metadata().map_or(true, |metadata| metadata.len() == 0);
    if is_empty && report.frames_committed > 0 {
        // SQLite would mistake the records in the log for leftovers, and delete them.
        let what = "it is missing or empty, while its write-ahead log holds records".to_owned();
        return Err(OpenJournalError::Damaged { file: file.to_owned(), place: "its start".to_owned(), what });
    }
    Ok(report)
}

fn answer<T: Send + 'static>(receiver: Option<oneshot::Receiver<Result<T, JournalError>>>) -> Answer<'static, T> {
    Box::pin(async move {
        match receiver {
            Some(receiver) => receiver.await.unwrap_or(Err(JournalError::Closed)),
            None => Err(JournalError::Closed),
        }
    })
}
