//! The data that an ended host left on disk, read without it: from a copy, so that its own recovery still has all of its work to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use reapply_journal::Journal;
use reapply_journal::sqlite::SqliteJournal;
use reapply_sync::{Event, RoomId, Seq};

/// The number of bytes of records that are read at once.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// A room's log, proven by its hash chain.
#[derive(Debug)]
pub(crate) struct Log {
    /// The event before its first one: later than 0 if it was trimmed.
    start: Seq,
    events: Vec<(Event, Bytes)>,
}

impl Log {
    /// Returns the event at `seq`, and its bytes.
    pub(crate) fn event(&self, seq: Seq) -> Option<&(Event, Bytes)> {
        let index = seq.0.checked_sub(self.start.0 + 1)?;
        self.events.get(usize::try_from(index).ok()?)
    }

    /// Returns whether there was an event at `seq`, which was trimmed.
    pub(crate) fn is_trimmed(&self, seq: Seq) -> bool {
        seq <= self.start
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &(Event, Bytes)> {
        self.events.iter()
    }

    pub(crate) fn head(&self) -> Seq {
        Seq(self.start.0 + self.events.len() as u64)
    }
}

/// Returns the logs of all rooms in a data directory that no host has open.
///
/// # Panics
///
/// The data cannot be recovered, or is damaged.
pub(crate) async fn read(data: &Path) -> BTreeMap<RoomId, Log> {
    let copy = tempfile::tempdir().unwrap();
    for file in ["journal.db", "journal.db-wal"] {
        if data.join(file).exists() {
            fs::copy(data.join(file), copy.path().join(file)).unwrap();
        }
    }
    let opened = SqliteJournal::open(copy.path());
    let opened = opened.unwrap_or_else(|error| panic!("what the host left does not open: {error}"));
    let journal: Arc<dyn Journal> = Arc::new(opened.journal);
    let mut logs = BTreeMap::new();
    for record in journal.rooms(None, None, usize::MAX).await.unwrap() {
        let room = record.room.clone();
        let (start, mut chain) = record.start();
        let mut log = Log { start, events: Vec::new() };
        loop {
            let records = journal.read(&room, log.head(), READ_BYTES).await.unwrap();
            if records.is_empty() {
                break;
            }
            for record in records {
                let batch = record.decode(chain).unwrap_or_else(|damage| panic!("{room}: {damage}"));
                chain = batch.chain;
                log.events.extend(batch.events.into_iter().zip(batch.encoded));
            }
        }
        assert_eq!((log.head(), chain), (record.head, record.chain), "{room}: the log does not lead to its head");
        logs.insert(room, log);
    }
    logs
}
