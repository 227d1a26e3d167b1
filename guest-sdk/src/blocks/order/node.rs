//! The nodes of the tree, and the links between them.

use std::sync::Arc;

use imbl::OrdMap;

use super::entry::Entry;

/// The maximum number of items of a node, entries or children, between two operations.
pub(super) const ITEMS_MAX: usize = 16;

/// The minimum number of items of a node, except for the root, between two operations.
pub(super) const ITEMS_MIN: usize = ITEMS_MAX / 4;

/// The number of items of a node after a split or a join, so that the next operations seldom split or join it again.
pub(super) const ITEMS_FILL: usize = ITEMS_MAX / 4 * 3;

/// The number of a node. Numbers count up and are never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::blocks) struct NodeId(u64);

/// A direction in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::blocks) enum Side {
    Before,
    After,
}

/// The nodes by number. All leaves are equally far from the root.
#[derive(Clone)]
pub(super) struct Tree<T> {
    pub(super) nodes: OrdMap<NodeId, Arc<Node<T>>>,
    pub(super) root: Option<NodeId>,
    next: NodeId,
}

pub(super) struct Node<T> {
    /// The parent; `None` for the root.
    pub(super) parent: Option<NodeId>,
    pub(super) items: Items<T>,
}

/// The items of a node: entries in a leaf, children in any other node.
pub(super) enum Items<T> {
    Entries(Vec<T>),
    Children(Vec<Child>),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Child {
    pub(super) node: NodeId,
    /// Whether one of the entries below is shown.
    pub(super) is_shown: bool,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Before => Self::After,
            Self::After => Self::Before,
        }
    }

    /// Returns the nearest item on this side of a place.
    pub(super) fn find<T>(self, items: &[T], place: usize, is_sought: impl Fn(&T) -> bool) -> Option<&T> {
        match self {
            Self::Before => items[..place].iter().rfind(|item| is_sought(item)),
            Self::After => items[place + 1..].iter().find(|item| is_sought(item)),
        }
    }
}

impl<T: Entry> Tree<T> {
    /// Builds the tree of these entries, and returns its leaves in order.
    pub(super) fn of(entries: Vec<T>) -> (Self, Vec<NodeId>) {
        let mut tree = Self::default();
        let mut level: Vec<Child> = chunks(entries)
            .map(|entries| Child {
                is_shown: entries.iter().any(T::is_shown),
                node: tree.add(None, Items::Entries(entries)),
            })
            .collect();
        let leaves = level.iter().map(|child| child.node).collect();
        while level.len() > 1 {
            level = chunks(level).map(|children| tree.add_parent(children)).collect();
        }
        tree.root = level.first().map(|child| child.node);
        (tree, leaves)
    }

    /// Creates the first leaf of an empty tree.
    pub(super) fn plant(&mut self) -> NodeId {
        let leaf = self.add(None, Items::Entries(Vec::new()));
        self.root = Some(leaf);
        leaf
    }

    /// Adds a node. Its parent and its items do not know of it yet.
    pub(super) fn add(&mut self, parent: Option<NodeId>, items: Items<T>) -> NodeId {
        step();
        let node = self.next;
        self.next = NodeId(node.0 + 1);
        self.nodes.insert(node, Arc::new(Node { parent, items }));
        node
    }

    /// Adds a node above these.
    fn add_parent(&mut self, children: Vec<Child>) -> Child {
        let is_shown = children.iter().any(|child| child.is_shown);
        let nodes: Vec<NodeId> = children.iter().map(|child| child.node).collect();
        let parent = self.add(None, Items::Children(children));
        for node in nodes {
            self.set_parent(node, Some(parent));
        }
        Child { node: parent, is_shown }
    }

    /// Returns the entries of a leaf.
    pub(super) fn entries(&self, leaf: NodeId) -> &[T] {
        match self.nodes.get(&leaf).map(|node| &node.items) {
            Some(Items::Entries(entries)) => entries,
            _ => &[],
        }
    }

    /// Returns the entries of a leaf, for changes in place.
    pub(super) fn entries_mut(&mut self, leaf: NodeId) -> &mut Vec<T> {
        match &mut self.node_mut(leaf).items {
            Items::Entries(entries) => entries,
            Items::Children(_) => unreachable!("the index names leaves"),
        }
    }

    /// Returns the children of a node; a leaf has none.
    pub(super) fn children(&self, node: NodeId) -> &[Child] {
        match self.nodes.get(&node).map(|node| &node.items) {
            Some(Items::Children(children)) => children,
            _ => &[],
        }
    }

    /// Returns the children of a node that is not a leaf, for changes in place.
    pub(super) fn children_mut(&mut self, node: NodeId) -> &mut Vec<Child> {
        match &mut self.node_mut(node).items {
            Items::Children(children) => children,
            Items::Entries(_) => unreachable!("a leaf is nobody's parent"),
        }
    }

    pub(super) fn node_mut(&mut self, node: NodeId) -> &mut Node<T> {
        step();
        Arc::make_mut(self.nodes.get_mut(&node).expect("a node that another names is there"))
    }

    pub(super) fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes.get(&node)?.parent
    }

    pub(super) fn set_parent(&mut self, node: NodeId, parent: Option<NodeId>) {
        self.node_mut(node).parent = parent;
    }

    /// Returns the place of a node among its parent's children.
    pub(super) fn place(&self, parent: NodeId, node: NodeId) -> usize {
        let place = self.children(parent).iter().position(|child| child.node == node);
        place.expect("a parent has its children")
    }

    /// Returns the number of a node's items.
    pub(super) fn len(&self, node: NodeId) -> usize {
        self.nodes.get(&node).map_or(0, |node| match &node.items {
            Items::Entries(entries) => entries.len(),
            Items::Children(children) => children.len(),
        })
    }

    /// Returns the first or the last leaf.
    pub(super) fn end(&self, side: Side) -> Option<NodeId> {
        Some(self.descend(self.root?, side, |_| true))
    }

    /// Returns the leaf nearest to that end of a node which passes the test, following on each level a child that passes it.
    pub(super) fn descend(&self, mut node: NodeId, end: Side, may_hold: fn(&Child) -> bool) -> NodeId {
        loop {
            let mut children = self.children(node).iter();
            let child = match end {
                Side::Before => children.find(|child| may_hold(child)),
                Side::After => children.rfind(|child| may_hold(child)),
            };
            match child {
                Some(child) => node = child.node,
                None => return node,
            }
        }
    }

    /// Returns the nearest leaf on one side of another that passes the test.
    pub(super) fn leaf_beside(&self, leaf: NodeId, side: Side, may_hold: fn(&Child) -> bool) -> Option<NodeId> {
        let mut node = leaf;
        loop {
            let parent = self.parent(node)?;
            let place = self.place(parent, node);
            if let Some(child) = side.find(self.children(parent), place, may_hold) {
                return Some(self.descend(child.node, side.other(), may_hold));
            }
            node = parent;
        }
    }

    /// Records, up the tree, whether an entry below a node is shown.
    pub(super) fn refresh(&mut self, mut node: NodeId) {
        while let Some(parent) = self.parent(node) {
            if !self.note_shown(parent, node) {
                return;
            }
            node = parent;
        }
    }

    /// Records at a node's parent whether an entry below the node is shown. Returns whether that changed.
    pub(super) fn note_shown(&mut self, parent: NodeId, node: NodeId) -> bool {
        let is_shown = self.is_shown(node);
        let place = self.place(parent, node);
        let is_news = self.children(parent)[place].is_shown != is_shown;
        if is_news {
            self.children_mut(parent)[place].is_shown = is_shown;
        }
        is_news
    }

    /// Returns whether one of the entries in or below a node is shown.
    fn is_shown(&self, node: NodeId) -> bool {
        self.entries(node).iter().any(T::is_shown) || self.children(node).iter().any(|child| child.is_shown)
    }

    /// Returns whether two trees share everything.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.nodes.ptr_eq(&other.nodes)
    }
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { nodes: OrdMap::new(), root: None, next: NodeId::default() }
    }
}

impl<T> Items<T> {
    /// Removes and returns the items from a place on.
    pub(super) fn split_off(&mut self, place: usize) -> Self {
        match self {
            Self::Entries(entries) => Self::Entries(entries.split_off(place)),
            Self::Children(children) => Self::Children(children.split_off(place)),
        }
    }

    /// Adds items of the same kind at one end.
    pub(super) fn add(&mut self, side: Side, more: Self) {
        match (self, more) {
            (Self::Entries(entries), Self::Entries(more)) => add(entries, side, more),
            (Self::Children(children), Self::Children(more)) => add(children, side, more),
            _ => unreachable!("nodes beside each other are of one kind"),
        }
    }
}

fn add<T>(items: &mut Vec<T>, side: Side, mut more: Vec<T>) {
    match side {
        Side::Before => drop(items.splice(..0, more)),
        Side::After => items.append(&mut more),
    }
}

/// A copy is made in order to be changed, so it has room for one more item.
impl<T: Clone> Clone for Node<T> {
    fn clone(&self) -> Self {
        let items = match &self.items {
            Items::Entries(entries) => Items::Entries(roomy(entries)),
            Items::Children(children) => Items::Children(roomy(children)),
        };
        Self { parent: self.parent, items }
    }
}

fn roomy<T: Clone>(items: &[T]) -> Vec<T> {
    let mut copy = Vec::with_capacity(ITEMS_MAX + 1);
    copy.extend_from_slice(items);
    copy
}

/// Divides items into as few parts as possible, of at most [`ITEMS_FILL`] each and nearly equal size.
fn chunks<T>(items: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let (count, parts) = (items.len(), items.len().div_ceil(ITEMS_FILL));
    let mut items = items.into_iter();
    (0..parts).map(move |part| {
        let (from, to) = (part * count / parts, (part + 1) * count / parts);
        items.by_ref().take(to - from).collect()
    })
}

/// Counts a change of a node or of the index, for the tests.
pub(super) fn step() {
    #[cfg(test)]
    super::tests::STEPS.with(|steps| steps.set(steps.get() + 1));
}
