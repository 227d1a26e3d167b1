//! The characters of a text in order, as runs, and an index to find each of them.

use std::ops::Range;

use super::marks::Marks;
use super::ranges::Ranges;
use super::run::Run;
use super::transition::{CharId, CharRange};
use super::weight::Weight;
use crate::Id;
use crate::blocks::order::{Entry, Sequence, Side};

/// Runs are found by their first characters. Any other character is in the last run of its id that begins before it.
impl Entry for Run {
    type Key = CharId;

    fn key(&self) -> CharId {
        self.start()
    }

    fn is_shown(&self) -> bool {
        self.is_visible()
    }
}

/// The division into runs is not part of the text's value: it depends on how the text came about.
#[derive(Clone, Default)]
pub(super) struct Runs {
    order: Sequence<Run>,
    chars: u32,
    visible_chars: u32,
    weight: Weight,
}

impl Runs {
    /// Creates the order of these runs, whose lengths are known to add up; `None` if a character is in two of them.
    pub(super) fn new(runs: Vec<Run>) -> Option<Self> {
        let chars = runs.iter().map(|run| run.length).sum();
        let visible_chars = runs.iter().filter(|run| run.is_visible()).map(|run| run.length).sum();
        let mut numbers: Vec<(Id, u32, u32)> = runs.iter().map(|run| (run.id, run.offset, run.end())).collect();
        numbers.sort_unstable();
        let has_double = numbers.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[0].2 > pair[1].1);
        let weight = Weight::of(None, &runs);
        (!has_double).then(|| Self { order: runs.into_iter().collect(), chars, visible_chars, weight })
    }

    /// Returns all runs in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.order.iter()
    }

    /// Returns the runs in order that are not deleted.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Run> {
        self.iter().filter(|run| run.is_visible())
    }

    /// Returns the number of characters, including deleted ones.
    pub(super) fn chars(&self) -> u32 {
        self.chars
    }

    /// Returns the number of characters that are not deleted.
    pub(super) fn visible_chars(&self) -> u32 {
        self.visible_chars
    }

    /// Returns the size of the text, stored and shown.
    pub(super) fn weight(&self) -> Weight {
        self.weight
    }

    /// Returns the run that begins with a character.
    pub(super) fn get(&self, start: CharId) -> Option<&Run> {
        self.order.get(&start)
    }

    /// Returns the run that a character is in.
    pub(super) fn find(&self, char: CharId) -> Option<&Run> {
        self.order.floor(&char).filter(|run| run.id == char.id && char.offset < run.end())
    }

    /// Returns the first existing character among `length` of them from `start` on.
    pub(super) fn first_taken(&self, start: CharId, length: u32) -> Option<CharId> {
        let last = CharId { id: start.id, offset: start.offset + length - 1 };
        let run = self.order.floor(&last).filter(|run| run.id == start.id && run.end() > start.offset)?;
        if run.offset <= start.offset || self.find(start).is_some() {
            return Some(start);
        }
        self.order.ceiling(&start)
    }

    /// Returns whether all characters of an id with these numbers are deleted.
    pub(super) fn are_deleted(&self, id: Id, mut offsets: Range<u32>) -> bool {
        while !offsets.is_empty() {
            match self.find(CharId { id, offset: offsets.start }) {
                Some(run) if !run.is_visible() => offsets.start = run.end(),
                _ => return false,
            }
        }
        true
    }

    /// Returns the first of these characters that never existed.
    pub(super) fn first_missing(&self, range: CharRange) -> Option<CharId> {
        let end = range.end();
        let mut char = range.start();
        while char < end {
            match self.find(char) {
                Some(run) => char.offset = run.end(),
                None => return Some(char),
            }
        }
        (end.offset - range.offset < range.length).then_some(end)
    }

    /// Returns the number after the highest one that is used of an id.
    pub(super) fn next_offset(&self, id: Id) -> u32 {
        let last = self.order.floor(&CharId { id, offset: u32::MAX });
        last.filter(|run| run.id == id).map_or(0, Run::end)
    }

    /// Returns the marks that the neighbours on both sides of the place after a run, or of the first place, share. Deleted characters do
    /// not count as neighbours.
    pub(super) fn marks_after(&self, start: Option<CharId>) -> Marks {
        let (before, after) = match start {
            Some(start) => {
                let before = self.get(start).filter(|run| run.is_visible());
                let before = before.or_else(|| self.order.beside_shown(&start, Side::Before));
                (before, self.order.beside_shown(&start, Side::After))
            }
            None => (None, None),
        };
        match (before.and_then(Run::marks), after.and_then(Run::marks)) {
            (Some(before), Some(after)) => before.shared(after),
            _ => Marks::default(),
        }
    }

    /// Adds new, visible characters, as a run after another or first.
    pub(super) fn insert(&mut self, after: Option<CharId>, run: Run) {
        self.chars += run.length;
        self.visible_chars += run.length;
        let (before, next) = self.order.with_next(after.as_ref());
        self.weight.replace(Weight::of(before, next), Weight::of(before, [&run].into_iter().chain(next)));
        self.order.insert_after(after, run);
    }

    /// Adds new, visible characters at the end of a run that continues with them.
    pub(super) fn extend(&mut self, start: CharId, next: &Run) {
        self.chars += next.length;
        self.visible_chars += next.length;
        self.weight.text_bytes += next.text().len() as u64;
        // Only characters that already exist may continue with these.
        let may_continue = self.order.contains(&CharId { id: next.id, offset: next.end() });
        let old = may_continue.then(|| self.weight_after(start));
        self.order.update(&start, |run| run.append(next));
        if let Some(old) = old {
            self.weight.replace(old, self.weight_after(start));
        }
    }

    /// Returns the weight of the run after another.
    fn weight_after(&self, start: CharId) -> Weight {
        let (run, next) = self.order.with_next(Some(&start));
        Weight::of(run, next)
    }

    /// Changes the marks of all runs that are within the ranges and not deleted, or deletes these. Visits each leaf that holds some of them
    /// once. Returns the number of characters in the ranges.
    pub(super) fn set_all<E>(
        &mut self,
        ranges: &Ranges,
        mut marks: impl FnMut(&Marks) -> Result<Option<Marks>, E>,
    ) -> Result<u64, E> {
        let leaves = self.order.leaves_of(ranges.iter().map(|range| range.start()..=range.end()));
        let is_wanted = |run: &Run| run.is_visible() && ranges.contain(run);
        let mut covered = 0;
        let mut deleted = 0;
        let mut ends = Vec::new();
        for leaf in &leaves {
            let (before, runs, after) = self.order.leaf(*leaf);
            covered += runs.iter().map(|run| ranges.overlap(run)).sum::<u64>();
            if !runs.iter().any(is_wanted) {
                continue;
            }
            let old = Weight::of(before, runs.iter().chain(after));
            let change = |run: &mut Run| {
                if is_wanted(run)
                    && let Some(content) = &mut run.content
                {
                    match marks(&content.marks)? {
                        Some(marks) => content.marks = marks,
                        None => {
                            run.content = None;
                            deleted += run.length;
                        }
                    }
                }
                Ok(())
            };
            self.order.change_leaf(*leaf, change, Run::try_append)?;
            let (before, runs, after) = self.order.leaf(*leaf);
            self.weight.replace(old, Weight::of(before, runs.iter().chain(after)));
            ends.extend([before, runs.last()].into_iter().flatten().map(Run::start));
        }
        self.visible_chars -= deleted;
        self.order.tidy(&leaves);
        for end in ends {
            // The run may be part of another by now.
            if let Some(start) = self.find(end).map(Run::start) {
                self.merge_next(start);
            }
        }
        Ok(covered)
    }

    /// Cuts the run that begins with `start` before the character numbered `offset`, unless that is at one of its ends.
    pub(super) fn cut(&mut self, start: CharId, offset: u32) {
        let is_inside = |run: &Run| run.offset < offset && offset < run.end();
        if !self.get(start).is_some_and(is_inside) {
            return;
        }
        if let Some(rest) = self.order.update(&start, |run| run.split_off(offset)) {
            self.order.insert_after(Some(start), rest);
        }
    }

    /// Joins this run and the next, if they are alike.
    fn merge_next(&mut self, start: CharId) {
        let (Some(run), Some(next)) = self.order.with_next(Some(&start)) else { return };
        if !run.can_append(next) {
            return;
        }
        if let Some(next) = self.order.remove(&next.start()) {
            self.order.update(&start, |run| run.append(&next));
        }
    }
}
