//! What a host that has ended left on disk, read without it: from a copy, so that its own recovery has all of its work to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use reapply_host::journal::Journal;
use reapply_host::journal::sqlite::SqliteJournal;
use reapply_sync::{Event, RoomId, Seq};

/// Bytes of records that are read at once.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// A room's log, proven by its hash chain.
#[derive(Debug, Default)]
pub(crate) struct Log(Vec<(Event, Bytes)>);

impl Log {
    /// The event at `seq`, and its bytes.
    pub(crate) fn event(&self, seq: Seq) -> Option<&(Event, Bytes)> {
        self.0.get(usize::try_from(seq.0.checked_sub(1)?).ok()?)
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &(Event, Bytes)> {
        self.0.iter()
    }

    pub(crate) fn head(&self) -> Seq {
        Seq(self.0.len() as u64)
    }
}

/// The logs of all rooms in a data directory that no host has open.
///
/// # Panics
///
/// What is there cannot be recovered, or is damaged.
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
        let mut log = Log::default();
        let (_, mut chain) = record.start();
        loop {
            let records = journal.read(&room, log.head(), READ_BYTES).await.unwrap();
            if records.is_empty() {
                break;
            }
            for record in records {
                let batch = record.decode(chain).unwrap_or_else(|damage| panic!("{room}: {damage}"));
                chain = batch.chain;
                log.0.extend(batch.events.into_iter().zip(batch.encoded));
            }
        }
        assert_eq!((log.head(), chain), (record.head, record.chain), "{room}: the log does not lead to its head");
        logs.insert(room, log);
    }
    logs
}
