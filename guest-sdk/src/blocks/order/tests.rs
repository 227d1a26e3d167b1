use std::cell::Cell;

use proptest::prelude::*;

use super::*;

thread_local! {
    /// The number of changes of nodes and of the index so far.
    pub(in crate::blocks) static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// The maximum number of such changes in one operation. A split moves up to half a node on each level.
fn steps_max(entries: usize) -> usize {
    let levels = 1 + entries.max(2).ilog(ITEMS_MIN) as usize;
    levels * (ITEMS_MAX / 2 + 6)
}

/// Numbers, of which the odd ones are not shown.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Number(usize);

impl Entry for Number {
    type Key = usize;

    fn key(&self) -> usize {
        self.0
    }

    fn is_shown(&self) -> bool {
        self.0.is_multiple_of(2)
    }
}

/// A sequence, and the largest number of steps that an operation took.
#[derive(Default)]
struct Counted {
    sequence: Sequence<Number>,
    largest: usize,
    total: usize,
}

impl Counted {
    fn of(values: impl IntoIterator<Item = usize>) -> Self {
        Self { sequence: values.into_iter().map(Number).collect(), ..Self::default() }
    }

    fn run<R>(&mut self, operation: impl FnOnce(&mut Sequence<Number>) -> R) -> R {
        // The previous state is kept, as a host keeps it.
        let before = self.sequence.clone();
        let began = STEPS.get();
        let result = operation(&mut self.sequence);
        let steps = STEPS.get() - began;
        drop(before);
        assert!(steps <= steps_max(self.sequence.len()), "{steps} steps at {} entries", self.sequence.len());
        self.largest = self.largest.max(steps);
        self.total += steps;
        result
    }

    fn insert_after(&mut self, after: Option<usize>, value: usize) {
        self.run(|sequence| sequence.insert_after(after, Number(value)));
    }

    fn before(&self, value: usize) -> Option<usize> {
        self.sequence.beside(&value, Side::Before).map(Entry::key)
    }

    fn values(&self) -> Vec<usize> {
        check_shape(&self.sequence);
        self.sequence.iter().map(Entry::key).collect()
    }

    fn report(&self, what: &str) {
        let Self { sequence, largest, total } = self;
        let mean = *total as f64 / sequence.len().max(1) as f64;
        println!("{what}: {} entries, at most {largest} steps an operation, {mean:.2} for each entry", sequence.len());
    }
}

/// Checks every node: its size, its depth, its parent, its record of the entries below, and the index.
fn check_shape(sequence: &Sequence<Number>) {
    let tree = &sequence.tree;
    let Some(root) = tree.root else { return };
    assert_eq!(tree.parent(root), None);
    let mut level = vec![root];
    let mut nodes = 0;
    while !level.is_empty() {
        nodes += level.len();
        let mut below = Vec::new();
        let has_leaves = tree.children(level[0]).is_empty();
        for node in level {
            let (entries, children) = (tree.entries(node), tree.children(node));
            assert_eq!(children.is_empty(), has_leaves, "all leaves are equally deep");
            assert!(tree.len(node) <= ITEMS_MAX);
            assert!(node == root || tree.len(node) >= ITEMS_MIN);
            assert!(node != root || children.len() != 1);
            assert!(entries.iter().all(|entry| sequence.index.get(&entry.key()) == Some(&node)));
            for child in children {
                assert_eq!(tree.parent(child.node), Some(node));
                let is_shown = tree.entries(child.node).iter().any(Number::is_shown)
                    || tree.children(child.node).iter().any(|child| child.is_shown);
                assert_eq!(child.is_shown, is_shown);
            }
            below.extend(children.iter().map(|child| child.node));
        }
        level = below;
    }
    assert_eq!(nodes, tree.nodes.len(), "no node is left over");
}

#[test]
fn no_insert_after_one_entry_is_dear() {
    for count in [1_000, 10_000, 100_000] {
        let mut counted = Counted::default();
        counted.insert_after(None, 0);
        (1..count).for_each(|value| counted.insert_after(Some(0), value));
        assert!(counted.values().into_iter().eq([0].into_iter().chain((1..count).rev())));
        counted.report("after one entry");
    }
}

#[test]
fn no_insert_before_one_entry_is_dear() {
    for count in [1_000, 10_000, 100_000] {
        let mut counted = Counted::default();
        counted.insert_after(None, 0);
        for value in 1..count {
            counted.insert_after(counted.before(0), value);
        }
        assert!(counted.values().into_iter().eq((1..count).chain([0])));
        counted.report("before one entry");
    }
}

#[test]
fn no_insert_between_both_sides_of_one_place_is_dear() {
    for count in [1_000, 10_000, 100_000] {
        let mut counted = Counted::of([0, 1]);
        let (mut low, mut high) = (0, 1);
        for value in 2..count {
            counted.insert_after(Some(low), value);
            if value % 2 == 0 { low = value } else { high = value }
        }
        let evens = (0..count).filter(|value| value % 2 == 0);
        assert!(counted.values().into_iter().eq(evens.chain((0..count).rev().filter(|value| value % 2 == 1))));
        assert!(high > low || count % 2 == 1);
        counted.report("from both sides");
    }
}

#[test]
fn no_append_or_prepend_is_dear() {
    let mut counted = Counted::default();
    for value in 0..100_000 {
        let last = counted.sequence.last().map(Entry::key);
        counted.insert_after(last, value);
    }
    assert!(counted.values().into_iter().eq(0..100_000));
    counted.report("appended");
    let mut counted = Counted::default();
    (0..100_000).for_each(|value| counted.insert_after(None, value));
    assert!(counted.values().into_iter().eq((0..100_000).rev()));
    counted.report("prepended");
}

#[test]
fn no_insert_is_dear_that_follows_a_restore() {
    let mut counted = Counted::of(0..100_000);
    for value in 100_000..120_000 {
        counted.insert_after(Some(50_000), value);
    }
    let values = (0..=50_000).chain((100_000..120_000).rev()).chain(50_001..100_000);
    assert!(counted.values().into_iter().eq(values));
    counted.report("after a restore");
}

#[test]
fn no_removal_is_dear() {
    let mut counted = Counted::of(0..100_000);
    // All but every hundredth, far apart and side by side.
    for value in (0..100_000).map(|value| value * 7_919 % 100_000).filter(|value| value % 100 != 0) {
        assert_eq!(counted.run(|sequence| sequence.remove(&value)), Some(Number(value)));
    }
    assert!(counted.values().into_iter().eq((0..100_000).step_by(100)));
    counted.report("removed");
    for value in (0..100_000).step_by(100) {
        counted.run(|sequence| sequence.remove(&value));
    }
    assert_eq!(counted.sequence.iter().next(), None);
    counted.insert_after(None, 3);
    assert_eq!(counted.values(), [3]);
}

#[test]
fn shown_entries_are_found_over_many_that_are_not() {
    let mut counted = Counted::of([0].into_iter().chain((0..50_000).map(|odd| 2 * odd + 1)).chain([2]));
    let shown = |counted: &Counted, key, side| counted.sequence.beside_shown(&key, side).map(Entry::key);
    assert_eq!(shown(&counted, 50_001, Side::Before), Some(0));
    assert_eq!(shown(&counted, 50_001, Side::After), Some(2));
    counted.run(|sequence| sequence.remove(&0));
    assert_eq!(shown(&counted, 50_001, Side::Before), None);
    counted.insert_after(Some(1), 4);
    assert_eq!(shown(&counted, 50_001, Side::Before), Some(4));
    check_shape(&counted.sequence);
}

#[test]
fn a_clone_stays_as_it_is() {
    let first: Sequence<Number> = (0..1_000).map(Number).collect();
    let mut second = first.clone();
    assert_eq!(first, second);
    second.insert_after(Some(500), Number(1_000));
    second.remove(&3);
    assert!(first.iter().map(Entry::key).eq(0..1_000));
    assert_ne!(first, second);
}

proptest! {
    #[test]
    fn behaves_like_a_vec(steps in prop::collection::vec((0..8u8, any::<prop::sample::Index>()), 0..600)) {
        let mut counted = Counted::default();
        let mut model: Vec<usize> = Vec::new();
        for (value, (kind, index)) in steps.into_iter().enumerate() {
            let place = index.index(model.len() + 1);
            if kind < 3 && place < model.len() {
                let value = model.remove(place);
                prop_assert_eq!(counted.run(|sequence| sequence.remove(&value)), Some(Number(value)));
                prop_assert_eq!(counted.sequence.get(&value), None);
            } else {
                // Many inserts hit one place.
                let place = if kind < 5 { place } else { model.len() / 2 };
                counted.insert_after(place.checked_sub(1).map(|before| model[before]), value);
                model.insert(place, value);
            }
            prop_assert_eq!(counted.sequence.len(), model.len());
            prop_assert_eq!(counted.sequence.last().map(Entry::key), model.last().copied());
        }
        prop_assert_eq!(counted.values(), model.clone());
        let backwards: Vec<usize> = counted.sequence.iter().rev().map(Entry::key).collect();
        prop_assert!(backwards.iter().eq(model.iter().rev()));
        for (place, value) in model.iter().enumerate() {
            let key = |entry: Option<&Number>| entry.map(Entry::key);
            prop_assert_eq!(key(counted.sequence.beside(value, Side::Before)), place.checked_sub(1).map(|at| model[at]));
            prop_assert_eq!(key(counted.sequence.beside(value, Side::After)), model.get(place + 1).copied());
            let is_shown = |value: &&usize| value.is_multiple_of(2);
            let before = model[..place].iter().rfind(is_shown).copied();
            let after = model[place + 1..].iter().find(is_shown).copied();
            prop_assert_eq!(key(counted.sequence.beside_shown(value, Side::Before)), before);
            prop_assert_eq!(key(counted.sequence.beside_shown(value, Side::After)), after);
        }
        prop_assert_eq!(counted.sequence, model.into_iter().map(Number).collect::<Sequence<Number>>());
    }
}
