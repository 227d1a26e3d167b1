//! One browser: what it keeps of clients, and its locks. Pages of one browser share both.

use std::collections::{BTreeMap, VecDeque};

use reapply_client_core::{Change, Entry, KnownClient, Left, WriteId, Written};
use reapply_sync::ClientKey;

/// A client's key, as it is kept.
pub(super) type KeyBytes = [u8; 16];

/// A lock, which one page holds at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lock {
    /// Nobody else takes this key for their tab's.
    Key(KeyBytes),
    /// Nobody else is this client in the room.
    Room(KeyBytes),
}

#[derive(Default)]
pub(super) struct Browser {
    records: BTreeMap<KeyBytes, Record>,
    locks: BTreeMap<Lock, usize>,
    /// Writes that are under way, in their order.
    writes: VecDeque<Write>,
}

/// What is kept of a client.
#[derive(Default)]
struct Record {
    reserved: u64,
    is_given: bool,
    entries: BTreeMap<u64, Entry>,
}

struct Write {
    page: usize,
    key: KeyBytes,
    is_given: bool,
    id: WriteId,
    changes: Vec<Change>,
    fate: Fate,
    is_done: bool,
}

/// How a write ends, and what its page is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stored,
    Lost,
    Unanswered { is_stored: bool },
}

impl Browser {
    /// A page writes: the changes are in the store at some moment before the write is answered, after all that were written before.
    pub(super) fn write(
        &mut self,
        page: usize,
        (key, is_given): (KeyBytes, bool),
        (id, changes): (WriteId, Vec<Change>),
        fate: Fate,
    ) {
        self.writes.push_back(Write { page, key, is_given, id, changes, fate, is_done: false });
    }

    /// The oldest write of all ends: whose it is, and how it ended.
    pub(super) fn end_write(&mut self) -> Option<(usize, WriteId, Written)> {
        let mut write = self.writes.pop_front()?;
        perform(&mut self.records, &mut write);
        let written = match write.fate {
            Fate::Stored => Written::Yes,
            Fate::Lost => Written::No,
            Fate::Unanswered { .. } => Written::Unknown,
        };
        Some((write.page, write.id, written))
    }

    /// A page is gone: of its writes that are under way only the first ones are stored.
    pub(super) fn end_page(&mut self, page: usize, stored_max: usize) {
        self.locks.retain(|_, holder| *holder != page);
        let under_way = self.writes.iter_mut().filter(|write| write.page == page && !write.is_done);
        for write in under_way.skip(stored_max) {
            write.fate = Fate::Lost;
        }
    }

    /// What a client has left. All that was written before is in it.
    pub(super) fn read(&mut self, key: &ClientKey) -> Left {
        self.settle();
        let Some(record) = self.records.get(&key.0) else { return Left::default() };
        Left { reserved: record.reserved, entries: record.entries.values().cloned().collect() }
    }

    /// The clients that have left something.
    pub(super) fn orphans(&mut self) -> Vec<KnownClient> {
        self.settle();
        let with_entries = self.records.iter().filter(|(_, record)| !record.entries.is_empty());
        with_entries.map(|(key, record)| KnownClient { key: ClientKey(*key), is_given: record.is_given }).collect()
    }

    /// Somebody clears everything that is kept of this site.
    pub(super) fn clear(&mut self) {
        self.settle();
        self.records.clear();
    }

    /// Whether somebody else than `page` holds a lock.
    pub(super) fn is_held(&self, lock: Lock, page: usize) -> bool {
        self.locks.get(&lock).is_some_and(|holder| *holder != page)
    }

    /// The page takes a lock, from whoever had it.
    pub(super) fn take(&mut self, lock: Lock, page: usize) -> Option<usize> {
        self.locks.insert(lock, page).filter(|holder| *holder != page)
    }

    pub(super) fn release(&mut self, lock: Lock, page: usize) {
        if self.locks.get(&lock) == Some(&page) {
            self.locks.remove(&lock);
        }
    }

    fn settle(&mut self) {
        self.writes.iter_mut().for_each(|write| perform(&mut self.records, write));
    }
}

fn perform(records: &mut BTreeMap<KeyBytes, Record>, write: &mut Write) {
    let is_stored = matches!(write.fate, Fate::Stored | Fate::Unanswered { is_stored: true });
    if std::mem::replace(&mut write.is_done, true) || !is_stored {
        return;
    }
    let record = records.entry(write.key).or_default();
    record.is_given = write.is_given;
    for change in &write.changes {
        match change {
            Change::Put(entry) => drop(record.entries.insert(entry.order, entry.clone())),
            Change::Delete(order) => drop(record.entries.remove(order)),
            Change::Reserve(last) => record.reserved = *last,
        }
    }
}
