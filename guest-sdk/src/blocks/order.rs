//! Entries in an order that somebody chose, with a label for each that compares as the entries stand.
//!
//! A label is a fraction of 2^64 in eight bytes. Where two neighbours have no label left between them, the entries of the
//! smallest range around them that is sparse enough are spread evenly over it, so labels stay eight bytes however many
//! inserts hit one place, and an insert moves O(log n) entries on average. ("Two Simplified Algorithms for Maintaining Order
//! in a List": Bender, Cole, Demaine, Farach-Colton, Zito, 2002.)
//!
//! Labels depend on how a sequence came about. Equality and snapshots look at the entries alone.

use std::fmt;
use std::ops::RangeInclusive;

use imbl::OrdMap;

/// The distance that entries at either end keep from their neighbour while there is room: 2^23 of them move nobody, and 40
/// inserts fit between two of them before anybody moves.
const STRIDE: u64 = 1 << 40;

/// A range of 2^n labels is sparse enough to be spread anew while it holds at most (4/3)^n entries, that is, the density
/// allowed falls by 3/2 with each doubling. The whole range takes 10^8 entries, which is more than a machine has memory for.
/// This is that number for one label, in units of 2^-32.
const SPARSE_ENTRIES: u64 = 1 << SPARSE_FRACTION_BITS;
const SPARSE_FRACTION_BITS: u32 = 32;

/// Entries in order, found by their labels. Clones share what is the same in both.
#[derive(Clone)]
pub(super) struct Sequence<T: Clone> {
    entries: OrdMap<u64, T>,
}

impl<T: Clone> Sequence<T> {
    /// Inserts `value` directly after the entry labelled `at`, or first, and answers with its label. `moved` is told of
    /// every other entry that gets a new label.
    pub(super) fn insert_after(&mut self, at: Option<u64>, value: T, moved: impl FnMut(&T, u64)) -> u64 {
        let label = self.free_label(at).unwrap_or_else(|| self.make_room(at, moved));
        self.entries.insert(label, value);
        label
    }

    /// The entry at a label.
    pub(super) fn get(&self, label: u64) -> Option<&T> {
        self.entries.get(&label)
    }

    /// The entry at a label, to be changed in place.
    pub(super) fn get_mut(&mut self, label: u64) -> Option<&mut T> {
        self.entries.get_mut(&label)
    }

    /// Takes the entry at a label out.
    pub(super) fn remove(&mut self, label: u64) -> Option<T> {
        self.entries.remove(&label)
    }

    /// The entry after a label.
    pub(super) fn next(&self, label: u64) -> Option<(u64, &T)> {
        let (next, value) = self.entries.get_next(&label.checked_add(1)?)?;
        Some((*next, value))
    }

    /// The entry before a label.
    pub(super) fn previous(&self, label: u64) -> Option<(u64, &T)> {
        let (previous, value) = self.entries.get_prev(&label.checked_sub(1)?)?;
        Some((*previous, value))
    }

    /// The first entry.
    pub(super) fn first(&self) -> Option<(u64, &T)> {
        self.entries.get_min().map(|(label, value)| (*label, value))
    }

    /// The last entry.
    pub(super) fn last(&self) -> Option<(u64, &T)> {
        self.entries.get_max().map(|(label, value)| (*label, value))
    }

    /// The entries in order, each with its label.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &T)> + ExactSizeIterator {
        self.entries.iter().map(|(label, value)| (*label, value))
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// A label between `at` and the entry after it, if there is one left.
    fn free_label(&self, at: Option<u64>) -> Option<u64> {
        let next = match at {
            Some(label) => self.next(label),
            None => self.first(),
        };
        match (at, next) {
            (None, None) => Some(1 << 63),
            (None, Some((0, _))) | (Some(u64::MAX), None) => None,
            (None, Some((high, _))) => Some(high - STRIDE.min(high.div_ceil(2))),
            (Some(low), None) => Some(low + STRIDE.min((u64::MAX - low).div_ceil(2))),
            (Some(low), Some((high, _))) => (high - low > 1).then(|| low + (high - low) / 2),
        }
    }

    /// Spreads the entries around `at`, and answers with the label that is left free directly after it.
    fn make_room(&mut self, at: Option<u64>, mut moved: impl FnMut(&T, u64)) -> u64 {
        // Where there is no room before the first entry, its label is 0.
        let range = self.sparse_range(at.unwrap_or(0));
        let entries: Vec<(u64, T)> =
            self.entries.range(range.clone()).map(|(label, value)| (*label, value.clone())).collect();
        for (label, _) in &entries {
            self.entries.remove(label);
        }
        let free = entries.partition_point(|(label, _)| at.is_some_and(|at| *label <= at));
        let places = entries.len() + 1;
        for (index, (old, value)) in entries.into_iter().enumerate() {
            let place = if index < free { index } else { index + 1 };
            let label = even_label(&range, place, places);
            if label != old {
                moved(&value, label);
            }
            self.entries.insert(label, value);
        }
        even_label(&range, free, places)
    }

    /// The smallest aligned range of labels around `anchor`, an entry's, that is sparse enough to take one more.
    fn sparse_range(&self, anchor: u64) -> RangeInclusive<u64> {
        // The anchor itself, and the one to come.
        let mut places = 2;
        let mut sparse = SPARSE_ENTRIES;
        let mut half = 1u64;
        loop {
            // The range doubles by its other half.
            let other = (anchor ^ half) & !(half - 1);
            places += self.entries.range(other..=other | (half - 1)).count() as u64;
            sparse += sparse / 3;
            let is_whole = half == 1 << 63;
            if places <= sparse >> SPARSE_FRACTION_BITS || is_whole {
                let first = anchor & other & !half;
                return first..=first | half | (half - 1);
            }
            half <<= 1;
        }
    }
}

impl<T: Clone> Default for Sequence<T> {
    fn default() -> Self {
        Self { entries: OrdMap::new() }
    }
}

/// The values in order, evenly labelled.
impl<T: Clone> FromIterator<T> for Sequence<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let values: Vec<T> = values.into_iter().collect();
        let places = values.len();
        let labels = (0..places).map(|place| even_label(&(0..=u64::MAX), place, places));
        Self { entries: labels.zip(values).collect() }
    }
}

impl<T: Clone + PartialEq> PartialEq for Sequence<T> {
    fn eq(&self, other: &Self) -> bool {
        self.entries.ptr_eq(&other.entries) || self.entries.values().eq(other.entries.values())
    }
}

impl<T: Clone + fmt::Debug> fmt::Debug for Sequence<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.entries.values()).finish()
    }
}

/// The label of a place among so many that are spread evenly over `range`. All differ if there are no more than labels.
fn even_label(range: &RangeInclusive<u64>, place: usize, places: usize) -> u64 {
    let width = u128::from(range.end() - range.start()) + 1;
    let offset = (place as u128 * width + width / 2) / places as u128;
    // The offset is below the width, since the place is below their number.
    range.start() + offset as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// How many entries an insert may move on average, per doubling of the sequence. Measured: below 0.7.
    const MOVED_PER_INSERT_AND_DOUBLING_MAX: f64 = 1.0;

    /// A sequence of distinct numbers, an index of their labels, and the same numbers in a `Vec`.
    #[derive(Default)]
    struct Tracked {
        sequence: Sequence<usize>,
        labels: BTreeMap<usize, u64>,
        moved: usize,
    }

    impl Tracked {
        fn insert_after(&mut self, at: Option<usize>, value: usize) {
            let at = at.map(|at| self.labels[&at]);
            let label = self.sequence.insert_after(at, value, |value, label| {
                self.labels.insert(*value, label);
                self.moved += 1;
            });
            self.labels.insert(value, label);
        }

        fn before(&self, value: usize) -> Option<usize> {
            self.sequence.previous(self.labels[&value]).map(|(_, value)| *value)
        }

        fn values(&self) -> Vec<usize> {
            for (label, value) in self.sequence.iter() {
                assert_eq!(self.labels[value], label, "the index does not follow {value}");
            }
            self.sequence.iter().map(|(_, value)| *value).collect()
        }

        fn check_moved(&self) {
            let inserts = self.sequence.len() as f64;
            let per_insert = self.moved as f64 / inserts;
            println!("{inserts} inserts moved {per_insert:.2} entries each");
            assert!(per_insert <= MOVED_PER_INSERT_AND_DOUBLING_MAX * inserts.log2(), "{per_insert} moved per insert");
        }
    }

    #[test]
    fn many_inserts_after_one_entry_keep_order() {
        for count in [10_000, 100_000] {
            let mut tracked = Tracked::default();
            tracked.insert_after(None, 0);
            (1..count).for_each(|value| tracked.insert_after(Some(0), value));
            assert!(tracked.values().into_iter().eq([0].into_iter().chain((1..count).rev())));
            tracked.check_moved();
        }
    }

    #[test]
    fn many_inserts_before_one_entry_keep_order() {
        for count in [10_000, 100_000] {
            let mut tracked = Tracked::default();
            tracked.insert_after(None, 0);
            for value in 1..count {
                tracked.insert_after(tracked.before(0), value);
            }
            assert!(tracked.values().into_iter().eq((1..count).chain([0])));
            tracked.check_moved();
        }
    }

    #[test]
    fn many_inserts_from_both_sides_of_one_place_keep_order() {
        for count in [10_000, 100_000] {
            let mut tracked = Tracked::default();
            tracked.insert_after(None, 0);
            tracked.insert_after(Some(0), 1);
            let (mut low, mut high) = (0, 1);
            for value in 2..count {
                tracked.insert_after(Some(low), value);
                if value % 2 == 0 { low = value } else { high = value }
            }
            let evens = (0..count).filter(|value| value % 2 == 0);
            assert!(tracked.values().into_iter().eq(evens.chain((0..count).rev().filter(|value| value % 2 == 1))));
            assert_eq!(tracked.before(high), Some(low));
            tracked.check_moved();
        }
    }

    #[test]
    fn an_end_without_labels_takes_more() {
        // It takes millions of appends to get to the last label, so this begins there.
        for label in [0, u64::MAX] {
            let mut tracked = Tracked::default();
            tracked.sequence.entries.insert(label, 0);
            tracked.labels.insert(0, label);
            (1..5_000).for_each(|value| tracked.insert_after(None, value));
            tracked.insert_after(Some(0), 5_000);
            (5_001..10_000).for_each(|value| tracked.insert_after(Some(value - 1), value));
            assert!(tracked.values().into_iter().eq((1..5_000).rev().chain([0]).chain(5_000..10_000)));
            tracked.check_moved();
        }
    }

    #[test]
    fn appending_and_prepending_move_nobody() {
        let mut tracked = Tracked::default();
        tracked.insert_after(None, 0);
        for value in (1..20_000).step_by(2) {
            tracked.insert_after(tracked.sequence.last().map(|(_, last)| *last), value);
            tracked.insert_after(None, value + 1);
        }
        assert_eq!(tracked.values().len(), 20_001);
        assert_eq!(tracked.moved, 0);
    }

    #[test]
    fn collected_values_are_evenly_labelled() {
        for count in [1, 2, 3, 1_000, 4_097] {
            let sequence: Sequence<usize> = (0..count).collect();
            assert!(sequence.iter().map(|(_, value)| *value).eq(0..count));
            let even = u64::MAX / count as u64;
            let labels: Vec<u64> = sequence.iter().map(|(label, _)| label).collect();
            assert!(labels.windows(2).all(|pair| (pair[1] - pair[0]).abs_diff(even) <= 2), "{count}: {labels:?}");
            assert!(labels[0].abs_diff(even / 2) <= 2, "{count}: {labels:?}");
        }
        assert_eq!(Sequence::<usize>::from_iter([]), Sequence::default());
    }

    #[test]
    fn a_full_range_of_labels_is_spread_into_a_wider_one() {
        let mut tracked = Tracked::default();
        for value in 0..64 {
            tracked.sequence.entries.insert(value as u64, value);
            tracked.labels.insert(value, value as u64);
        }
        let old = tracked.sequence.clone();
        tracked.insert_after(Some(31), 64);
        tracked.insert_after(None, 65);
        assert!(tracked.values().into_iter().eq([65].into_iter().chain(0..32).chain([64]).chain(32..64)));
        assert!(old.iter().map(|(_, value)| *value).eq(0..64), "a clone is of its own");
        assert!(old.iter().map(|(label, _)| label).eq(0..64));
    }

    proptest! {
        #[test]
        fn behaves_like_a_vec(steps in prop::collection::vec((0..6u8, any::<prop::sample::Index>()), 0..400)) {
            let mut tracked = Tracked::default();
            let mut model: Vec<usize> = Vec::new();
            for (value, (kind, index)) in steps.into_iter().enumerate() {
                let place = index.index(model.len() + 1);
                if kind == 0 && place < model.len() {
                    let value = model.remove(place);
                    let label = tracked.labels.remove(&value).unwrap();
                    prop_assert_eq!(tracked.sequence.remove(label), Some(value));
                    prop_assert_eq!(tracked.sequence.get(label), None);
                } else {
                    // Most inserts hit one place, where the labels run out.
                    let place = if kind < 3 { place } else { model.len() / 2 };
                    tracked.insert_after(place.checked_sub(1).map(|before| model[before]), value);
                    model.insert(place, value);
                }
                prop_assert_eq!(tracked.sequence.len(), model.len());
                prop_assert_eq!(tracked.sequence.first().map(|(_, value)| value), model.first());
                prop_assert_eq!(tracked.sequence.last().map(|(_, value)| value), model.last());
            }
            prop_assert_eq!(tracked.values(), model.clone());
            for pair in model.windows(2) {
                let labels = [tracked.labels[&pair[0]], tracked.labels[&pair[1]]];
                prop_assert_eq!(tracked.sequence.next(labels[0]), Some((labels[1], &pair[1])));
                prop_assert_eq!(tracked.sequence.previous(labels[1]), Some((labels[0], &pair[0])));
            }
            prop_assert_eq!(tracked.sequence, model.into_iter().collect::<Sequence<usize>>());
        }
    }
}
