//! Nodes that have too many items, or too few.

use super::node::step;
use super::{Child, Entry, ITEMS_FILL, ITEMS_MAX, ITEMS_MIN, Items, NodeId, Sequence, Side};

impl<T: Entry> Sequence<T> {
    /// Moves a part of an overfull node, which has just received an item at `place`, to a new node beside it, and so on up the tree.
    pub(super) fn split(&mut self, mut node: NodeId, mut place: usize) {
        loop {
            let side = if place == 0 { Side::Before } else { Side::After };
            // If items keep arriving at one end, the old node stays well filled.
            let cut = match place {
                0 => ITEMS_MIN + 1,
                ITEMS_MAX => ITEMS_MAX - ITEMS_MIN,
                _ => ITEMS_MAX / 2 + 1,
            };
            let given = match side {
                Side::Before => self.take_first(node, cut),
                Side::After => self.take_from(node, cut),
            };
            let parent = self.parent_of(node);
            let new = self.tree.add(Some(parent), given);
            self.claim_all(new);
            place = self.tree.place(parent, node) + usize::from(side == Side::After);
            self.tree.children_mut(parent).insert(place, Child { node: new, is_shown: false });
            self.tree.note_shown(parent, node);
            self.tree.note_shown(parent, new);
            if self.tree.children(parent).len() <= ITEMS_MAX {
                return;
            }
            node = parent;
        }
    }

    /// Joins a node that has too few items with a neighbour, or evens the two out, and so on up the tree.
    pub(super) fn refill(&mut self, mut node: NodeId) {
        while let Some(parent) = self.tree.parent(node) {
            let place = self.tree.place(parent, node);
            // The side of the node on which its neighbour is.
            let (neighbour, side) = match place.checked_sub(1) {
                Some(before) => (before, Side::Before),
                None => (place + 1, Side::After),
            };
            let neighbour = self.tree.children(parent)[neighbour].node;
            let (few, more) = (self.tree.len(node), self.tree.len(neighbour));
            if few + more > ITEMS_FILL {
                let count = (more - few) / 2;
                let items = match side {
                    Side::Before => self.take_from(neighbour, more - count),
                    Side::After => self.take_first(neighbour, count),
                };
                self.give(node, side, items);
                self.tree.note_shown(parent, node);
                self.tree.note_shown(parent, neighbour);
                return;
            }
            let items = self.take_from(node, 0);
            self.tree.nodes.remove(&node);
            self.tree.children_mut(parent).remove(place);
            self.give(neighbour, side.other(), items);
            self.tree.note_shown(parent, neighbour);
            if self.tree.len(parent) >= ITEMS_MIN {
                return;
            }
            node = parent;
        }
        // The root may have few items, but not a single child.
        if let [child] = *self.tree.children(node) {
            self.tree.nodes.remove(&node);
            self.tree.set_parent(child.node, None);
            self.tree.root = Some(child.node);
        }
    }

    /// Returns the parent of a node. For the root, makes a parent first.
    fn parent_of(&mut self, node: NodeId) -> NodeId {
        if let Some(parent) = self.tree.parent(node) {
            return parent;
        }
        let root = self.tree.add(None, Items::Children(vec![Child { node, is_shown: false }]));
        self.tree.set_parent(node, Some(root));
        self.tree.root = Some(root);
        root
    }

    /// Removes a node's items from a place on, and returns them.
    fn take_from(&mut self, node: NodeId, place: usize) -> Items<T> {
        self.tree.node_mut(node).items.split_off(place)
    }

    /// Removes the given number of a node's first items, and returns them.
    fn take_first(&mut self, node: NodeId, count: usize) -> Items<T> {
        let items = &mut self.tree.node_mut(node).items;
        let rest = items.split_off(count);
        std::mem::replace(items, rest)
    }

    /// Adds items at one end of a node.
    fn give(&mut self, node: NodeId, side: Side, items: Items<T>) {
        self.claim(node, &items);
        self.tree.node_mut(node).items.add(side, items);
    }

    /// Records which node has these items.
    fn claim(&mut self, node: NodeId, items: &Items<T>) {
        match items {
            Items::Entries(entries) => entries.iter().for_each(|entry| {
                step();
                self.index.insert(entry.key(), node);
            }),
            Items::Children(children) => {
                children.iter().for_each(|child| self.tree.set_parent(child.node, Some(node)));
            }
        }
    }

    fn claim_all(&mut self, node: NodeId) {
        if let Some(node_of_items) = self.tree.nodes.get(&node).cloned() {
            self.claim(node, &node_of_items.items);
        }
    }
}
