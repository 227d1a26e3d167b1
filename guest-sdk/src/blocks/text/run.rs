//! A run: adjacent characters of one id with consecutive numbers and the same marks, or all deleted.

use std::sync::Arc;

use super::marks::Marks;
use super::transition::CharId;
use crate::Id;

/// The maximum number of visible characters of a run in memory, so that splitting it or typing at its end costs little.
pub(super) const RUN_CHARS_MAX: u32 = 512;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) id: Id,
    pub(super) offset: u32,
    /// The length in characters; never 0, and `offset + length` fits.
    pub(super) length: u32,
    /// The marks; `None` if the characters are deleted.
    pub(super) content: Option<Content>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    pub(super) text: Arc<str>,
    pub(super) marks: Marks,
}

impl Run {
    pub(super) fn start(&self) -> CharId {
        CharId { id: self.id, offset: self.offset }
    }

    /// Returns the number after the last character's.
    pub(super) fn end(&self) -> u32 {
        self.offset + self.length
    }

    pub(super) fn is_visible(&self) -> bool {
        self.content.is_some()
    }

    pub(super) fn text(&self) -> &str {
        self.content.as_ref().map_or("", |content| &content.text)
    }

    pub(super) fn marks(&self) -> Option<&Marks> {
        self.content.as_ref().map(|content| &content.marks)
    }

    /// Returns whether `next`, directly after this run, could be the rest of it.
    pub(super) fn continues_with(&self, next: &Self) -> bool {
        self.id == next.id && self.end() == next.offset && self.marks() == next.marks()
    }

    /// Returns how many more characters this run may hold.
    pub(super) fn room(&self) -> u32 {
        if self.is_visible() { RUN_CHARS_MAX.saturating_sub(self.length) } else { u32::MAX }
    }

    /// Returns whether `next`, directly after this run, is the rest of it, and there is room for it.
    pub(super) fn can_append(&self, next: &Self) -> bool {
        self.continues_with(next) && next.length <= self.room()
    }

    /// Appends the run directly after this one, if it [can](Self::can_append). Returns whether it did.
    pub(super) fn try_append(&mut self, next: &Self) -> bool {
        let can = self.can_append(next);
        if can {
            self.append(next);
        }
        can
    }

    /// Appends a run that this one [continues with](Self::continues_with).
    pub(super) fn append(&mut self, next: &Self) {
        self.length += next.length;
        if let Some(content) = &mut self.content {
            content.text = [&content.text, next.text()].concat().into();
        }
    }

    /// Cuts the run before the character numbered `offset`, and returns the rest.
    pub(super) fn split_off(&mut self, offset: u32) -> Self {
        let length = offset - self.offset;
        let mut rest = Self { id: self.id, offset, length: self.length - length, content: None };
        if let Some(content) = &mut self.content {
            let is_ascii = content.text.len() == self.length as usize;
            let (text, after) =
                if is_ascii { content.text.split_at(length as usize) } else { split_chars(&content.text, length) };
            rest.content = Some(Content { text: after.into(), marks: content.marks.clone() });
            content.text = text.into();
        }
        self.length = length;
        rest
    }
}

/// Returns the runs of a text whose characters are numbered from `start` on.
pub(super) fn runs_of(start: CharId, mut text: &str, marks: &Marks) -> impl Iterator<Item = Run> {
    let CharId { id, mut offset } = start;
    std::iter::from_fn(move || {
        let (first, rest) = split_chars(text, RUN_CHARS_MAX);
        if first.is_empty() {
            return None;
        }
        let length = count_chars(first);
        let run = Run { id, offset, length, content: Some(Content { text: first.into(), marks: marks.clone() }) };
        (text, offset) = (rest, offset + length);
        Some(run)
    })
}

/// Returns the first `count` characters of a text, or all, and the rest.
pub(super) fn split_chars(text: &str, count: u32) -> (&str, &str) {
    let byte = text.char_indices().nth(count as usize).map_or(text.len(), |(byte, _)| byte);
    text.split_at(byte)
}

/// Returns the number of characters. A text of more than 2^32 cannot occur: limits far below refuse it.
pub(super) fn count_chars(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}
