//! One browser: the entries that it keeps of clients, and its locks. Pages of one browser share both.

use std::collections::{BTreeMap, VecDeque};

use reapply_client_core::{Change, Entry, KnownClient, Left, WriteId, Written};
use reapply_sync::ClientKey;

/// The bytes of a client's key.
pub(super) type KeyBytes = [u8; 16];

/// A lock, which one page holds at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lock {
    /// A lock on a key: no other page takes this key for its tab.
    Key(KeyBytes),
    /// A lock on a client in the room: no other page is this client there.
    Room(KeyBytes),
}

#[derive(Default)]
pub(super) struct Browser {
    records: BTreeMap<KeyBytes, Record>,
    locks: BTreeMap<Lock, usize>,
    /// Writes that are under way, in their order.
    writes: VecDeque<Write>,
}

/// The entries that are kept of a client.
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

/// The end of a write, and the answer that its page gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stored,
    Lost,
    Unanswered { is_stored: bool },
}

impl Browser {
    /// Begins a write of a page. The changes reach the store at some moment before the write is answered, after all earlier writes.
    pub(super) fn write(
        &mut self,
        page: usize,
        (key, is_given): (KeyBytes, bool),
        (id, changes): (WriteId, Vec<Change>),
        fate: Fate,
    ) {
        self.writes.push_back(Write { page, key, is_given, id, changes, fate, is_done: false });
    }

    /// Ends the oldest write of all. Returns its page, its id and its result.
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

    /// Ends a page. Of its writes that are under way, only the first `stored_max` are stored.
    pub(super) fn end_page(&mut self, page: usize, stored_max: usize) {
        self.locks.retain(|_, holder| *holder != page);
        let under_way = self.writes.iter_mut().filter(|write| write.page == page && !write.is_done);
        for write in under_way.skip(stored_max) {
            write.fate = Fate::Lost;
        }
    }

    /// Returns the entries that a client has left. They include all earlier writes.
    pub(super) fn read(&mut self, key: &ClientKey) -> Left {
        self.settle();
        let Some(record) = self.records.get(&key.0) else { return Left::default() };
        Left { reserved: record.reserved, entries: record.entries.values().cloned().collect() }
    }

    /// Returns the clients that have left entries.
    pub(super) fn orphans(&mut self) -> Vec<KnownClient> {
        self.settle();
        let with_entries = self.records.iter().filter(|(_, record)| !record.entries.is_empty());
        with_entries.map(|(key, record)| KnownClient { key: ClientKey(*key), is_given: record.is_given }).collect()
    }

    /// Clears everything that is kept of this site.
    pub(super) fn clear(&mut self) {
        self.settle();
        self.records.clear();
    }

    /// Returns whether another page than `page` holds a lock.
    pub(super) fn is_held(&self, lock: Lock, page: usize) -> bool {
        self.locks.get(&lock).is_some_and(|holder| *holder != page)
    }

    /// Gives a lock to the page. Returns the former holder, if it was another page.
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
