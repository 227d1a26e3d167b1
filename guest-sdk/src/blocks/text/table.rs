//! Tables of the ids and marks that the runs of a snapshot share.

use std::collections::{BTreeMap, BTreeSet};

/// A writer that collects entries in the order of first use.
pub(super) struct Table<T> {
    pub(super) entries: Vec<T>,
    places: BTreeMap<T, u32>,
}

impl<T: Clone + Ord> Table<T> {
    /// Returns the place of an entry.
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

/// A reader of a table, which checks that a [`Table`] can have written it: `None` everywhere means that it cannot.
pub(super) struct Named<T> {
    entries: Vec<T>,
    named: usize,
}

impl<T: Ord> Named<T> {
    pub(super) fn new(entries: Vec<T>) -> Option<Self> {
        let are_distinct = entries.iter().collect::<BTreeSet<_>>().len() == entries.len();
        are_distinct.then_some(Self { entries, named: 0 })
    }

    /// Returns the entry at a place, which is an earlier one or the next.
    pub(super) fn at(&mut self, place: u32) -> Option<&T> {
        let place = place as usize;
        self.named += usize::from(place == self.named);
        self.entries[..self.named.min(self.entries.len())].get(place)
    }

    /// Checks that every entry was used, after all runs are read.
    pub(super) fn finish(self) -> Option<()> {
        (self.named == self.entries.len()).then_some(())
    }
}
