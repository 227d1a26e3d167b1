//! Tables of what the runs of a snapshot have in common.

use std::collections::{BTreeMap, BTreeSet};

/// Collects entries as they are named first.
pub(super) struct Table<T> {
    pub(super) entries: Vec<T>,
    places: BTreeMap<T, u32>,
}

impl<T: Clone + Ord> Table<T> {
    /// The place of an entry.
    pub(super) fn place(&mut self, entry: T) -> u32 {
        let entries = &mut self.entries;
        *self.places.entry(entry).or_insert_with_key(|entry| {
            entries.push(entry.clone());
            // There are no more entries than characters.
            (entries.len() - 1) as u32
        })
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: BTreeMap::new() }
    }
}

/// Reads a table, and makes sure that a [`Table`] can have written it: `None` everywhere means that it has not.
pub(super) struct Named<T> {
    entries: Vec<T>,
    named: usize,
}

impl<T: Ord> Named<T> {
    pub(super) fn new(entries: Vec<T>) -> Option<Self> {
        let are_distinct = entries.iter().collect::<BTreeSet<_>>().len() == entries.len();
        are_distinct.then_some(Self { entries, named: 0 })
    }

    /// The entry at a place, which is one of those named before or the next.
    pub(super) fn at(&mut self, place: u32) -> Option<&T> {
        let place = place as usize;
        self.named += usize::from(place == self.named);
        self.entries[..self.named.min(self.entries.len())].get(place)
    }

    /// All runs are read.
    pub(super) fn finish(self) -> Option<()> {
        (self.named == self.entries.len()).then_some(())
    }
}
