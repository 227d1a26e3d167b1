//! The characters of a text in order, as runs, and where to find each of them.

use std::ops::Range;

use imbl::{OrdMap, OrdSet};

use super::marks::Marks;
use super::run::Run;
use super::transition::CharId;
use crate::Id;
use crate::blocks::order::Sequence;

/// How the characters are cut into runs says nothing about the text: it depends on how the text came about.
#[derive(Clone, Default)]
pub(super) struct Runs {
    order: Sequence<Run>,
    /// The label of each run by its first character. Any other character is in the last run that begins before it.
    index: OrdMap<CharId, u64>,
    /// The labels of the runs that are not deleted, so that to find the next one takes no longer the more is deleted.
    visible: OrdSet<u64>,
    chars: u32,
    visible_chars: u32,
}

impl Runs {
    /// Runs in order, whose lengths are known to add up; none if a character is in two of them.
    pub(super) fn new(runs: Vec<Run>) -> Option<Self> {
        let chars = runs.iter().map(|run| run.length).sum();
        let visible_chars = runs.iter().filter(|run| run.is_visible()).map(|run| run.length).sum();
        let order: Sequence<Run> = runs.into_iter().collect();
        let index: OrdMap<CharId, u64> = order.iter().map(|(label, run)| (run.start(), label)).collect();
        let visible = order.iter().filter(|(_, run)| run.is_visible()).map(|(label, _)| label).collect();
        let mut by_id = index.iter().zip(index.keys().skip(1));
        let has_double = by_id.any(|((start, label), next)| {
            start.id == next.id && order.get(*label).is_some_and(|run| next.offset < run.end())
        });
        // Of two runs that begin with the same character the index has one.
        (!has_double && index.len() == order.len()).then_some(Self { order, index, visible, chars, visible_chars })
    }

    /// All runs in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.order.iter().map(|(_, run)| run)
    }

    /// The runs in order that are not deleted.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Run> {
        self.iter().filter(|run| run.is_visible())
    }

    /// How many characters there are, with the deleted ones.
    pub(super) fn chars(&self) -> u32 {
        self.chars
    }

    /// How many characters there are that are not deleted.
    pub(super) fn visible_chars(&self) -> u32 {
        self.visible_chars
    }

    pub(super) fn get(&self, label: u64) -> Option<&Run> {
        self.order.get(label)
    }

    /// The run that a character is in, and its label.
    pub(super) fn find(&self, char: CharId) -> Option<(u64, &Run)> {
        // Who goes through a range asks for a run's first character more often than not, and that is found sooner.
        if let Some(label) = self.index.get(&char) {
            return Some((*label, self.order.get(*label)?));
        }
        let (start, label) = self.index.get_prev(&char)?;
        if start.id != char.id {
            return None;
        }
        let run = self.order.get(*label)?;
        (char.offset < run.end()).then_some((*label, run))
    }

    /// The first character that there is already among `length` of them from `start` on.
    pub(super) fn first_taken(&self, start: CharId, length: u32) -> Option<CharId> {
        let end = start.offset + length;
        let (last, label) = self.index.get_prev(&CharId { id: start.id, offset: end - 1 })?;
        if last.id != start.id || self.order.get(*label)?.end() <= start.offset {
            return None;
        }
        if self.find(start).is_some() {
            return Some(start);
        }
        self.index.get_next(&start).map(|(next, _)| *next)
    }

    /// Whether all characters of an id with these numbers are deleted.
    pub(super) fn are_deleted(&self, id: Id, mut offsets: Range<u32>) -> bool {
        while !offsets.is_empty() {
            match self.find(CharId { id, offset: offsets.start }) {
                Some((_, run)) if !run.is_visible() => offsets.start = run.end(),
                _ => return false,
            }
        }
        true
    }

    /// The number after the highest one that is taken of an id.
    pub(super) fn next_offset(&self, id: Id) -> u32 {
        let last = self.index.get_prev(&CharId { id, offset: u32::MAX });
        let last = last.filter(|(start, _)| start.id == id).and_then(|(_, label)| self.order.get(*label));
        last.map_or(0, Run::end)
    }

    /// The marks that the characters on both sides of the place after a run share. Deleted ones are no neighbours.
    pub(super) fn marks_after(&self, label: Option<u64>) -> Marks {
        let marks = |label: Option<&u64>| label.and_then(|label| self.order.get(*label)).and_then(Run::marks);
        let before = label.and_then(|label| marks(Some(&label)).or_else(|| marks(self.visible.get_prev(&label))));
        let after = match label {
            Some(label) => label.checked_add(1).and_then(|label| self.visible.get_next(&label)),
            None => self.visible.get_min(),
        };
        match (before, marks(after)) {
            (Some(before), Some(after)) => before.shared(after),
            _ => Marks::default(),
        }
    }

    /// Adds characters that are new and visible, as a run after another or first, and answers with its label. Others may change.
    pub(super) fn insert(&mut self, after: Option<u64>, run: Run) -> u64 {
        self.chars += run.length;
        self.visible_chars += run.length;
        let (_, label) = self.place(after, run);
        label
    }

    /// Adds characters that are new and visible at the end of a run that continues with them.
    pub(super) fn extend(&mut self, label: u64, next: &Run) {
        self.chars += next.length;
        self.visible_chars += next.length;
        if let Some(run) = self.order.get_mut(label) {
            run.append(next);
        }
    }

    /// Gives a run that is not deleted other marks, or none to delete it.
    pub(super) fn set(&mut self, label: u64, marks: Option<Marks>) {
        let Some(run) = self.order.get_mut(label) else { return };
        let Some(content) = &mut run.content else { return };
        match marks {
            Some(marks) => content.marks = marks,
            None => {
                run.content = None;
                self.visible_chars -= run.length;
                self.visible.remove(&label);
            }
        }
        self.merge(label);
    }

    /// Cuts a run before its character numbered `offset`, and answers with the labels of both parts: of the one run twice, if that
    /// number is at one of its ends. Other labels may change.
    pub(super) fn cut(&mut self, label: u64, offset: u32) -> (u64, u64) {
        match self.order.get_mut(label) {
            Some(run) if run.offset < offset && offset < run.end() => {
                let rest = run.split_off(offset);
                let (first, rest) = self.place(Some(label), rest);
                (first.unwrap_or(label), rest)
            }
            _ => (label, label),
        }
    }

    /// Makes one run of this one and its neighbours, as far as they are alike.
    fn merge(&mut self, label: u64) {
        self.merge_next(label);
        if let Some((previous, _)) = self.order.previous(label) {
            self.merge_next(previous);
        }
    }

    fn merge_next(&mut self, label: u64) {
        let Some(run) = self.order.get(label) else { return };
        let Some(next_label) = self.index.get(&CharId { id: run.id, offset: run.end() }).copied() else { return };
        let is_alike = |next: &Run| run.continues_with(next) && next.length <= run.room();
        let is_next = || self.order.next(label).is_some_and(|(next, _)| next == next_label);
        if !self.order.get(next_label).is_some_and(is_alike) || !is_next() {
            return;
        }
        let Some(next) = self.order.remove(next_label) else { return };
        self.index.remove(&next.start());
        self.visible.remove(&next_label);
        if let Some(run) = self.order.get_mut(label) {
            run.append(&next);
        }
    }

    /// Adds a run after another or first, and answers with the labels that these two have then.
    fn place(&mut self, after: Option<u64>, run: Run) -> (Option<u64>, u64) {
        let (start, is_visible) = (run.start(), run.is_visible());
        let mut moved = Vec::new();
        let label =
            self.order.insert_after(after, run, |run, label| moved.push((run.start(), run.is_visible(), label)));
        self.follow(&moved);
        self.index.insert(start, label);
        if is_visible {
            self.visible.insert(label);
        }
        let after = if moved.is_empty() { after } else { self.order.previous(label).map(|(label, _)| label) };
        (after, label)
    }

    /// Notes the new labels of runs.
    fn follow(&mut self, moved: &[(CharId, bool, u64)]) {
        // All old labels go before any new one comes, since one run's new label may be another's old one.
        for (start, ..) in moved.iter().filter(|(_, is_visible, _)| *is_visible) {
            if let Some(old) = self.index.get(start) {
                self.visible.remove(old);
            }
        }
        for (start, is_visible, label) in moved {
            self.index.insert(*start, *label);
            if *is_visible {
                self.visible.insert(*label);
            }
        }
    }
}
