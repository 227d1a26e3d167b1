//! Iteration over the entries, leaf by leaf.

use std::slice;

use super::entry::Entry;
use super::node::{NodeId, Side, Tree};

/// An iterator over the entries in order, from both ends.
pub(in crate::blocks) struct Iter<'a, T: Entry> {
    front: End<'a, T>,
    back: End<'a, T>,
    left: usize,
}

/// The rest of the leaf at one end.
struct End<'a, T> {
    tree: &'a Tree<T>,
    leaf: Option<NodeId>,
    entries: slice::Iter<'a, T>,
}

impl<'a, T: Entry> Iter<'a, T> {
    /// Returns an iterator over all `count` entries of a tree.
    pub(super) fn new(tree: &'a Tree<T>, count: usize) -> Self {
        let end = |side| End::new(tree, tree.end(side));
        Self { front: end(Side::Before), back: end(Side::After), left: count }
    }
}

impl<'a, T: Entry> End<'a, T> {
    fn new(tree: &'a Tree<T>, leaf: Option<NodeId>) -> Self {
        let entries = leaf.map_or(&[][..], |leaf| tree.entries(leaf));
        Self { tree, leaf, entries: entries.iter() }
    }

    /// Moves to the leaf beside this one.
    fn go_on(&mut self, side: Side) -> Option<()> {
        let leaf = self.tree.leaf_beside(self.leaf?, side, |_| true)?;
        *self = Self::new(self.tree, Some(leaf));
        Some(())
    }
}

impl<'a, T: Entry> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        // Both ends may be in one leaf, so only the count tells when they meet.
        self.left = self.left.checked_sub(1)?;
        loop {
            if let Some(entry) = self.front.entries.next() {
                return Some(entry);
            }
            self.front.go_on(Side::After)?;
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Entry> DoubleEndedIterator for Iter<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        loop {
            if let Some(entry) = self.back.entries.next_back() {
                return Some(entry);
            }
            self.back.go_on(Side::Before)?;
        }
    }
}

impl<T: Entry> ExactSizeIterator for Iter<'_, T> {}
