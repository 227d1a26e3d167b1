//! A client's transitions without an outcome, kept in a store: whatever happens to this page, the next one sends them.
//!
//! The queue decides what is written. Its owner performs the writes and answers, and opens the store again when it is asked to.

use std::collections::BTreeMap;
use std::sync::Arc;

use reapply_sync::room::Ticks;
use reapply_sync::{Number, Seq, Timestamp};

use crate::limits::{NUMBERS_RESERVED, REWRITE_AFTER_MICROS};

/// A transition without an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The place among the entries of its client, from 1. It never changes.
    pub order: u64,
    /// The client's number for the transition. `None` until it is taken on.
    pub number: Option<Number>,
    /// The transition as JSON, which every build of the machine reads.
    pub json: Arc<str>,
    /// The host's time when the transition was asked for, as far as it was known.
    pub time: Timestamp,
    /// The log's head, as far as it was known, when the transition was first sent. `None` if the room cannot have it.
    pub sent_at: Option<Seq>,
}

/// Everything that earlier pages of a client have left in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The last number that was set aside.
    pub reserved: u64,
    /// The entries, in their order.
    pub entries: Vec<Entry>,
}

impl Left {
    /// Returns the last number or order that may be in use. The next page uses only higher ones.
    #[must_use]
    pub fn last_in_use(&self) -> u64 {
        self.entries.iter().map(last_of).fold(self.reserved, u64::max)
    }
}

/// The store that a queue is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// Nothing is ever written: there is no store, or this page must not change its content.
    #[default]
    None,
    /// The store does not answer now. All kept entries are written once it is open.
    Closed,
    /// The store is open.
    Open,
}

/// One change of a client's entries in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Keeps an entry, in place of an earlier one of the same order.
    Put(Entry),
    /// Removes the entry of this order.
    Delete(u64),
    /// Sets aside numbers up to this one.
    Reserve(u64),
}

/// The id of one write of some changes, all or none. Each id is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriteId(pub u64);

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of its changes are in the store.
    Yes,
    /// None of its changes is in the store.
    No,
    /// The result is unknown: all of its changes may be in the store, or none.
    Unknown,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Whether the entries of earlier pages are known, and so which orders are free.
    is_begun: bool,
    store: Store,
    /// The changes since the last write.
    changes: Vec<Change>,
    writes: u64,
    /// The orders that each unanswered write puts.
    puts: BTreeMap<WriteId, Vec<u64>>,
    reserved: u64,
    last_order: u64,
    /// Orders that the store may hold.
    stored: BTreeMap<u64, Stored>,
    /// Orders that the store may still hold although their entries have an outcome, with the write that removes each.
    owed: BTreeMap<u64, WriteId>,
    /// Orders of entries that are wrong in the store once they are sent, or once a later one is.
    stale: BTreeMap<u64, Renewal>,
    writing: Writing,
}

/// Whether the store holds an entry.
#[derive(Clone, Copy, Debug)]
enum Stored {
    Yes,
    /// The entry is there if any write from the first to the last succeeded.
    Perhaps {
        first: WriteId,
        last: WriteId,
    },
}

/// The repair of an entry that is stale in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewal {
    /// This write stores the entry again.
    Put(WriteId),
    /// This write removes the entry, since it could not be put: a full store may still allow a removal.
    Removal(WriteId),
    /// Neither has worked. The entry is put again when all others are.
    Failed,
}

/// Whether the store holds all kept entries, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Writing {
    /// The store does not hold all, and no write is under way to change that.
    #[default]
    No,
    /// The store holds all once this write has succeeded.
    Under(WriteId),
    /// The store holds all.
    Done,
    /// A write has failed. All entries are written again at this time.
    Again(Ticks),
}

impl Queue {
    /// Begins to write to a store, above the numbers and orders that earlier pages have left there.
    pub(crate) fn begin(&mut self, store: Store, left: &Left) {
        self.is_begun = true;
        self.store = store;
        self.last_order = left.last_in_use();
        self.reserved = left.reserved;
        self.stored = left.entries.iter().map(|entry| (entry.order, Stored::Yes)).collect();
    }

    /// Returns whether all kept entries outlive this page.
    pub(crate) fn is_durable(&self) -> bool {
        self.store == Store::Open && self.writing == Writing::Done
    }

    /// Returns whether a write of all entries is under way.
    pub(crate) fn is_writing_all(&self) -> bool {
        matches!(self.writing, Writing::Under(_))
    }

    /// Returns whether some entry in the store would be wrong once it is sent. No transition is sent until that is repaired.
    pub(crate) fn has_stale(&self) -> bool {
        !self.stale.is_empty()
    }

    /// Returns whether the store may hold an entry.
    pub(crate) fn may_hold(&self, entry: &Entry) -> bool {
        self.stored.contains_key(&entry.order)
    }

    /// Keeps an entry, and gives it an order if it has none. Does nothing until the queue has begun.
    pub(crate) fn keep(&mut self, entry: &mut Entry) {
        if !self.is_begun {
            return;
        }
        self.order(entry);
        let last = last_of(entry);
        if last > self.reserved {
            self.reserve(last);
        }
        self.put(entry);
    }

    /// Keeps an entry that is about to be sent. An older form of it in the store becomes wrong when it is sent.
    pub(crate) fn renew(&mut self, entry: &mut Entry) {
        let must_wait = self.may_hold(entry);
        self.keep(entry);
        if must_wait && self.store != Store::None {
            let renewal = if self.store == Store::Open { Renewal::Put(self.next_write()) } else { Renewal::Failed };
            self.stale.insert(entry.order, renewal);
        }
    }

    /// Removes an entry that has its outcome.
    pub(crate) fn drop(&mut self, entry: &Entry) {
        self.stale.remove(&entry.order);
        if self.stored.remove(&entry.order).is_some() {
            self.owed.insert(entry.order, self.next_write());
            self.change(Change::Delete(entry.order));
        }
    }

    /// Removes an entry that was rejected without the room. No transition is sent until it is gone from the store: the next page would send it after
    /// later numbers, and the room would take it for decided, or for new if it has forgotten the client.
    pub(crate) fn withdraw(&mut self, entry: &Entry) {
        self.drop(entry);
        if let Some(&removal) = self.owed.get(&entry.order)
            && self.store != Store::None
        {
            let renewal = if self.store == Store::Open { Renewal::Removal(removal) } else { Renewal::Failed };
            self.stale.insert(entry.order, renewal);
        }
    }

    /// Takes the changes since the last write, which must be written at once. Returns `None` if there are none.
    pub(crate) fn take_write(&mut self) -> Option<(WriteId, Vec<Change>)> {
        if self.changes.is_empty() {
            return None;
        }
        let write = self.next_write();
        self.writes = write.0;
        let changes = std::mem::take(&mut self.changes);
        let puts = changes.iter().filter_map(|change| match change {
            Change::Put(entry) => Some(entry.order),
            _ => None,
        });
        self.puts.insert(write, puts.collect());
        Some((write, changes))
    }

    /// Handles the end of a write. After a failure the next one is tried nevertheless: there may be space again, and decided entries must go.
    pub(crate) fn handle_written(&mut self, write: WriteId, written: Written, now: Ticks) {
        self.note_stored(write, written);
        if written == Written::Yes {
            let stored = &mut self.stored;
            self.stale.retain(|order, renewal| {
                if *renewal == Renewal::Removal(write) {
                    stored.remove(order);
                }
                *renewal != Renewal::Removal(write) && *renewal != Renewal::Put(write)
            });
            self.owed.retain(|_, removal| *removal != write);
            if self.writing == Writing::Under(write) {
                self.writing = Writing::Done;
            }
            return;
        }
        self.fail(now);
        let next = self.next_write();
        let mut removals = Vec::new();
        let (stored, owed) = (&self.stored, &self.owed);
        self.stale.retain(|order, renewal| {
            match *renewal {
                Renewal::Put(id) if id == write => {
                    removals.push(Change::Delete(*order));
                    *renewal = Renewal::Removal(next);
                }
                Renewal::Removal(id) if id == write => *renewal = Renewal::Failed,
                _ => {}
            }
            // An entry that is not in the store cannot be wrong there.
            stored.contains_key(order) || owed.contains_key(order)
        });
        for removal in removals {
            self.change(removal);
        }
    }

    /// Handles that the store is open, for the first time or again and perhaps empty: writes all kept entries.
    pub(crate) fn handle_opened<'a>(&mut self, kept: impl Iterator<Item = &'a mut Entry>) {
        if self.store == Store::None {
            return;
        }
        self.store = Store::Open;
        let next = self.next_write();
        self.owed.values_mut().for_each(|removal| *removal = next);
        self.stale.values_mut().for_each(|renewal| *renewal = Renewal::Put(next));
        self.changes = self.owed.keys().map(|order| Change::Delete(*order)).collect();
        let mut last = self.last_order;
        for entry in kept {
            self.order(entry);
            last = last.max(last_of(entry));
            self.put(entry);
        }
        self.reserve(last);
        self.writing = Writing::Under(next);
    }

    /// Handles that the store could not be opened.
    pub(crate) fn handle_not_opened(&mut self, now: Ticks) {
        self.handle_closed();
        self.fail(now);
    }

    /// Handles that the store was closed. It is opened again when its owner says so, or when all entries are due to be written again.
    pub(crate) fn handle_closed(&mut self) {
        if self.store == Store::Open {
            self.store = Store::Closed;
            self.changes.clear();
            self.writing = Writing::No;
            self.stale.values_mut().for_each(|renewal| *renewal = Renewal::Failed);
        }
    }

    /// Returns whether the store must be opened now, to write all entries again.
    pub(crate) fn take_reopen(&mut self, now: Ticks) -> bool {
        let is_due = matches!(self.writing, Writing::Again(at) if at <= now);
        if is_due {
            self.writing = Writing::No;
        }
        is_due
    }

    /// Returns the time when [`Queue::take_reopen`] is due.
    pub(crate) fn wake_at(&self) -> Option<Ticks> {
        match self.writing {
            Writing::Again(at) => Some(at),
            _ => None,
        }
    }

    /// Handles that another page has taken the client over: nothing more is written.
    pub(crate) fn disown(&mut self) {
        *self = Self { writes: self.writes, ..Self::default() };
    }

    fn next_write(&self) -> WriteId {
        WriteId(self.writes + 1)
    }

    fn order(&mut self, entry: &mut Entry) {
        if entry.order == 0 {
            self.last_order += 1;
            entry.order = self.last_order;
        }
    }

    fn change(&mut self, change: Change) {
        if self.store == Store::Open {
            self.changes.push(change);
        }
    }

    fn put(&mut self, entry: &Entry) {
        if self.store != Store::Open {
            return;
        }
        let next = self.next_write();
        let stored = self.stored.entry(entry.order).or_insert(Stored::Perhaps { first: next, last: next });
        if let Stored::Perhaps { last, .. } = stored {
            *last = next;
        }
        self.changes.push(Change::Put(entry.clone()));
    }

    fn reserve(&mut self, last: u64) {
        self.reserved = self.reserved.max(last.saturating_add(NUMBERS_RESERVED));
        self.change(Change::Reserve(self.reserved));
    }

    /// Notes which entries a write has put into the store. After an unknown result they may be there.
    fn note_stored(&mut self, write: WriteId, written: Written) {
        for order in self.puts.remove(&write).unwrap_or_default() {
            let Some(stored) = self.stored.get_mut(&order) else { continue };
            match (*stored, written) {
                (Stored::Perhaps { .. }, Written::Yes) => *stored = Stored::Yes,
                (Stored::Perhaps { first, last }, Written::No) if first == last => drop(self.stored.remove(&order)),
                _ => {}
            }
        }
    }

    fn fail(&mut self, now: Ticks) {
        if self.store != Store::None && !matches!(self.writing, Writing::Again(_)) {
            self.writing = Writing::Again(now.after(REWRITE_AFTER_MICROS));
        }
    }
}

fn last_of(entry: &Entry) -> u64 {
    entry.number.map_or(entry.order, |number| entry.order.max(number.0))
}
