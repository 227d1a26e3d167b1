//! The characters that an edit names.

use super::run::Run;
use super::transition::{CharId, CharRange};

/// Ranges in the order of their ids and numbers. None is empty or touches another.
pub(super) struct Ranges(Vec<CharRange>);

impl CharRange {
    pub(super) fn start(&self) -> CharId {
        CharId { id: self.id, offset: self.offset }
    }

    /// Returns the number after the last character.
    pub(super) fn end(&self) -> CharId {
        CharId { id: self.id, offset: self.offset.saturating_add(self.length) }
    }
}

impl Ranges {
    pub(super) fn new(ranges: &[CharRange]) -> Self {
        let mut ranges: Vec<CharRange> = ranges.iter().filter(|range| range.length > 0).copied().collect();
        ranges.sort_unstable_by_key(CharRange::start);
        ranges.dedup_by(|next, range| {
            let is_joined = next.id == range.id && next.offset <= range.end().offset;
            if is_joined {
                let end = |range: &CharRange| u64::from(range.offset) + u64::from(range.length);
                // A length beyond all numbers is capped, and finds no such characters.
                let length = end(range).max(end(next)) - u64::from(range.offset);
                range.length = length.try_into().unwrap_or(u32::MAX);
            }
            is_joined
        });
        Self(ranges)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &CharRange> {
        self.0.iter()
    }

    /// Returns the number of characters.
    pub(super) fn chars(&self) -> u64 {
        self.0.iter().map(|range| u64::from(range.length)).sum()
    }

    /// Returns how many characters of a run are in one of the ranges.
    pub(super) fn overlap(&self, run: &Run) -> u64 {
        let first = self.0.partition_point(|range| range.end() <= run.start());
        let ranges = self.0[first..].iter().take_while(|range| range.id == run.id && range.offset < run.end());
        let within = |range: &CharRange| range.end().offset.min(run.end()) - range.offset.max(run.offset);
        ranges.map(|range| u64::from(within(range))).sum()
    }

    /// Returns whether all characters of a run are in one of the ranges.
    pub(super) fn contain(&self, run: &Run) -> bool {
        let after = self.0.partition_point(|range| range.start() <= run.start());
        let range = after.checked_sub(1).map(|last| &self.0[last]);
        range.is_some_and(|range| range.id == run.id && run.end() <= range.end().offset)
    }
}
