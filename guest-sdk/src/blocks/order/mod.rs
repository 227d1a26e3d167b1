//! Entries in a chosen order, each found by its key.
//!
//! The entries are in the leaves of a B-tree. An entry does not know its place, so an index names the leaf of each key,
//! and each node names its parent. The nodes are kept by number in a persistent map: clones share all of them, and a change
//! copies only the few nodes that it touches.
//!
//! An operation changes at most [`ITEMS_MAX`] items of one node on each level, whatever the history of the sequence, so it takes
//! O(log n) time in the worst case.
//!
//! The division of entries into leaves depends on the history of a sequence. Equality and snapshots look only at the entries.

mod balance;
mod bulk;
mod entry;
mod iter;
mod node;
#[cfg(test)]
pub(super) mod tests;

use std::fmt;

use imbl::OrdMap;

pub(super) use self::entry::Entry;
pub(super) use self::iter::Iter;
pub(super) use self::node::Side;
use self::node::{Child, ITEMS_FILL, ITEMS_MAX, ITEMS_MIN, Items, NodeId, Tree};

/// Entries in order, found by their keys. Clones share their equal parts.
#[derive(Clone)]
pub(super) struct Sequence<T: Entry> {
    tree: Tree<T>,
    /// The leaf of each entry.
    index: OrdMap<T::Key, NodeId>,
}

impl<T: Entry> Sequence<T> {
    /// Inserts an entry directly after the entry with the key `after`, or first. Its own key must be new. Changes nothing if
    /// there is no entry `after`.
    pub(super) fn insert_after(&mut self, after: Option<T::Key>, entry: T) {
        let spot = match after {
            Some(key) => self.spot(&key).map(|(leaf, place)| (leaf, place + 1)),
            None => Some((self.tree.end(Side::Before).unwrap_or_else(|| self.tree.plant()), 0)),
        };
        let Some((leaf, place)) = spot else { return };
        let (key, is_shown) = (entry.key(), entry.is_shown());
        let entries = self.tree.entries_mut(leaf);
        let is_first_shown = is_shown && !entries.iter().any(T::is_shown);
        entries.insert(place, entry);
        let is_overfull = entries.len() > ITEMS_MAX;
        self.index.insert(key, leaf);
        if is_first_shown {
            self.tree.refresh(leaf);
        }
        if is_overfull {
            self.split(leaf, place);
        }
    }

    /// Returns the entry with a key.
    pub(super) fn get(&self, key: &T::Key) -> Option<&T> {
        let (leaf, place) = self.spot(key)?;
        self.tree.entries(leaf).get(place)
    }

    /// Returns whether there is an entry with this key.
    pub(super) fn contains(&self, key: &T::Key) -> bool {
        self.index.contains_key(key)
    }

    /// Changes an entry in place, but not its key. Returns the result of `change`.
    pub(super) fn update<R>(&mut self, key: &T::Key, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let (leaf, place) = self.spot(key)?;
        let entry = self.tree.entries_mut(leaf).get_mut(place)?;
        let was_shown = entry.is_shown();
        let result = change(entry);
        if entry.is_shown() != was_shown {
            self.tree.refresh(leaf);
        }
        Some(result)
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, key: &T::Key) -> Option<T> {
        let (leaf, place) = self.spot(key)?;
        self.index.remove(key);
        let entries = self.tree.entries_mut(leaf);
        let entry = entries.remove(place);
        let is_last_shown = entry.is_shown() && !entries.iter().any(T::is_shown);
        let is_short = entries.len() < ITEMS_MIN;
        if is_last_shown {
            self.tree.refresh(leaf);
        }
        if is_short {
            self.refill(leaf);
        }
        Some(entry)
    }

    /// Returns the entry directly before or after the one with a key.
    pub(super) fn beside(&self, key: &T::Key, side: Side) -> Option<&T> {
        self.find_beside(key, side, |_| true, |_| true)
    }

    /// Returns the nearest entry before or after the one with a key that [is shown](Entry::is_shown).
    pub(super) fn beside_shown(&self, key: &T::Key, side: Side) -> Option<&T> {
        self.find_beside(key, side, T::is_shown, |child| child.is_shown)
    }

    /// Returns the entry with a key, or `None` for the place before all entries, and the entry directly after it.
    pub(super) fn with_next(&self, key: Option<&T::Key>) -> (Option<&T>, Option<&T>) {
        let Some(key) = key else {
            let first = self.tree.end(Side::Before).map(|leaf| self.tree.entries(leaf));
            return (None, first.and_then(<[T]>::first));
        };
        let Some((leaf, place)) = self.spot(key) else { return (None, None) };
        let entries = self.tree.entries(leaf);
        let next_leaf = || Some(self.tree.entries(self.tree.leaf_beside(leaf, Side::After, |_| true)?));
        (entries.get(place), entries.get(place + 1).or_else(|| next_leaf()?.first()))
    }

    /// Returns the last entry.
    pub(super) fn last(&self) -> Option<&T> {
        self.tree.entries(self.tree.end(Side::After)?).last()
    }

    /// Returns the entry with the highest key up to this one.
    pub(super) fn floor(&self, key: &T::Key) -> Option<&T> {
        let (key, leaf) = self.index.get_prev(key)?;
        self.tree.entries(*leaf).iter().find(|entry| entry.key() == *key)
    }

    /// Returns the lowest key from this one on.
    pub(super) fn ceiling(&self, key: &T::Key) -> Option<T::Key> {
        self.index.get_next(key).map(|(key, _)| *key)
    }

    /// Returns the entries in order.
    pub(super) fn iter(&self) -> Iter<'_, T> {
        Iter::new(&self.tree, self.len())
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Returns the leaf of a key, and the place of its entry there.
    fn spot(&self, key: &T::Key) -> Option<(NodeId, usize)> {
        let leaf = *self.index.get(key)?;
        let place = self.tree.entries(leaf).iter().position(|entry| entry.key() == *key)?;
        Some((leaf, place))
    }

    fn find_beside(
        &self,
        key: &T::Key,
        side: Side,
        is_sought: fn(&T) -> bool,
        may_hold: fn(&Child) -> bool,
    ) -> Option<&T> {
        let (leaf, place) = self.spot(key)?;
        let entries = self.tree.entries(leaf);
        side.find(entries, place, is_sought).or_else(|| {
            let entries = self.tree.entries(self.tree.leaf_beside(leaf, side, may_hold)?);
            match side {
                Side::Before => entries.iter().rfind(|entry| is_sought(entry)),
                Side::After => entries.iter().find(|entry| is_sought(entry)),
            }
        })
    }
}

impl<T: Entry> Default for Sequence<T> {
    fn default() -> Self {
        Self { tree: Tree::default(), index: OrdMap::new() }
    }
}

/// Collects the entries in order. Of two entries with the same key, only one would be found.
impl<T: Entry> FromIterator<T> for Sequence<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let (tree, leaves) = Tree::of(entries.into_iter().collect());
        let mut index = OrdMap::new();
        for leaf in leaves {
            for entry in tree.entries(leaf) {
                index.insert(entry.key(), leaf);
            }
        }
        Self { tree, index }
    }
}

impl<T: Entry + PartialEq> PartialEq for Sequence<T> {
    fn eq(&self, other: &Self) -> bool {
        self.tree.is_same(&other.tree) || (self.len() == other.len() && self.iter().eq(other.iter()))
    }
}

impl<T: Entry + fmt::Debug> fmt::Debug for Sequence<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}
