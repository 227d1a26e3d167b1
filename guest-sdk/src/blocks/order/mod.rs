//! Entries in an order that somebody chose, each found by its key.
//!
//! The entries stand in the leaves of a B-tree. Nothing about an entry says where it stands, so an index names the leaf of each key,
//! and each node names its parent. The nodes are kept by number in a persistent map: clones share all of them, and a change
//! copies the few nodes that it changes.
//!
//! An operation changes at most [`ITEMS_MAX`] items of one node on each level, whatever the sequence has been through, so it takes
//! O(log n) time in the worst case.
//!
//! How the entries are cut into leaves depends on how a sequence came about. Equality and snapshots look at the entries alone.

mod balance;
mod bulk;
mod iter;
mod node;
#[cfg(test)]
pub(super) mod tests;

use std::fmt;

use imbl::OrdMap;

pub(super) use self::iter::Iter;
pub(super) use self::node::Side;
use self::node::{Child, ITEMS_FILL, ITEMS_MAX, ITEMS_MIN, Items, NodeId, Tree};

/// A thing that has a place in a [`Sequence`].
pub(super) trait Entry: Clone {
    /// What the entry is found by.
    type Key: Copy + Ord;

    /// The entry's key, which stays the same.
    fn key(&self) -> Self::Key;

    /// Whether [`Sequence::beside_shown`] stops here.
    fn is_shown(&self) -> bool {
        true
    }
}

/// Entries in order, found by their keys. Clones share what is the same in both.
#[derive(Clone)]
pub(super) struct Sequence<T: Entry> {
    tree: Tree<T>,
    /// The leaf of each entry.
    index: OrdMap<T::Key, NodeId>,
}

impl<T: Entry> Sequence<T> {
    /// Inserts an entry directly after the one with the key `after`, or first. Its own key must be new. Changes nothing if there is
    /// no entry `after`.
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

    /// The entry of a key.
    pub(super) fn get(&self, key: &T::Key) -> Option<&T> {
        let (leaf, place) = self.spot(key)?;
        self.tree.entries(leaf).get(place)
    }

    /// Whether there is an entry of this key.
    pub(super) fn contains(&self, key: &T::Key) -> bool {
        self.index.contains_key(key)
    }

    /// Changes an entry in place, but not its key. Returns what `change` returns.
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

    /// Takes an entry out.
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

    /// The entry directly before or after that of a key.
    pub(super) fn beside(&self, key: &T::Key, side: Side) -> Option<&T> {
        self.find_beside(key, side, |_| true, |_| true)
    }

    /// The nearest entry before or after that of a key that [is shown](Entry::is_shown).
    pub(super) fn beside_shown(&self, key: &T::Key, side: Side) -> Option<&T> {
        self.find_beside(key, side, T::is_shown, |child| child.is_shown)
    }

    /// The entry of a key, or none for the place before all entries, and the one directly after it.
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

    /// The last entry.
    pub(super) fn last(&self) -> Option<&T> {
        self.tree.entries(self.tree.end(Side::After)?).last()
    }

    /// The entry with the highest key up to this one.
    pub(super) fn floor(&self, key: &T::Key) -> Option<&T> {
        let (key, leaf) = self.index.get_prev(key)?;
        self.tree.entries(*leaf).iter().find(|entry| entry.key() == *key)
    }

    /// The lowest key from this one on.
    pub(super) fn ceiling(&self, key: &T::Key) -> Option<T::Key> {
        self.index.get_next(key).map(|(key, _)| *key)
    }

    /// The entries in order.
    pub(super) fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The leaf of a key, and the place of its entry there.
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

/// The entries in order. Of two with the same key, only one would be found.
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
