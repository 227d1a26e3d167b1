//! Changes of many entries, leaf by leaf.

use std::ops::RangeInclusive;

use super::{Entry, ITEMS_MIN, NodeId, Sequence, Side};

impl<T: Entry> Sequence<T> {
    /// Returns the leaves of the entries with keys in these ranges, and of the last entry before each range, each leaf once.
    pub(in crate::blocks) fn leaves_of(&self, ranges: impl IntoIterator<Item = RangeInclusive<T::Key>>) -> Vec<NodeId> {
        let mut leaves = Vec::new();
        for range in ranges {
            leaves.extend(self.index.get_prev(range.start()).map(|(_, leaf)| *leaf));
            leaves.extend(self.index.range(range).map(|(_, leaf)| *leaf));
        }
        leaves.sort_unstable();
        leaves.dedup();
        leaves
    }

    /// Returns the entries of a leaf, and the entries directly before and after them.
    pub(in crate::blocks) fn leaf(&self, leaf: NodeId) -> (Option<&T>, &[T], Option<&T>) {
        let beside = |side| self.tree.leaf_beside(leaf, side, |_| true).map(|leaf| self.tree.entries(leaf));
        let before = beside(Side::Before).and_then(<[T]>::last);
        (before, self.tree.entries(leaf), beside(Side::After).and_then(<[T]>::first))
    }

    /// Changes the entries of a leaf in place, and then joins neighbours where `join` adds the second to the first.
    ///
    /// Leaves may be left with too few entries: [`tidy`](Self::tidy) must follow.
    pub(in crate::blocks) fn change_leaf<E>(
        &mut self,
        leaf: NodeId,
        change: impl FnMut(&mut T) -> Result<(), E>,
        join: impl Fn(&mut T, &T) -> bool,
    ) -> Result<(), E> {
        let entries = self.tree.entries_mut(leaf);
        entries.iter_mut().try_for_each(change)?;
        let mut joined = Vec::new();
        entries.dedup_by(|next, entry| {
            let is_joined = join(entry, next);
            if is_joined {
                joined.push(next.key());
            }
            is_joined
        });
        for key in joined {
            self.index.remove(&key);
        }
        self.tree.refresh(leaf);
        Ok(())
    }

    /// Fills those of these leaves that have too few entries.
    pub(in crate::blocks) fn tidy(&mut self, leaves: &[NodeId]) {
        for leaf in leaves {
            let is_short = (1..ITEMS_MIN).contains(&self.tree.len(*leaf));
            if is_short {
                self.refill(*leaf);
            }
        }
    }
}
