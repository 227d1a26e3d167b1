//! Text that several people write at once.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use self::pieces::pieces;
use self::run::Run;
use self::runs::Runs;
use crate::Id;

mod builder;
mod deleted;
mod edit;
mod encoding;
mod marks;
mod pieces;
mod ranges;
mod run;
mod runs;
mod table;
mod transition;
mod weight;

pub(crate) use deleted::with_deleted;
pub use transition::{CharId, CharRange, TextConflict, TextLimit, TextTransition};

/// A text that several people write at once, with marks such as bold or a link on its characters.
///
/// Every character has a permanent name ([`CharId`]), and transitions refer to characters by these names, not by places that
/// shift while somebody else types. Characters are Unicode scalar values (Rust's `char`): lengths, places and numbers count these.
/// JavaScript counts UTF-16 code units, so a page converts between the two.
///
/// ```
/// use reapply_guest::{CharId, Id, StateMachine, Text};
///
/// let (ada, bob) = (Id::from_bits(1), Id::from_bits(2));
/// let text = Text::default();
/// let text = text.apply(&text.insert(ada, 0, "Hello world"))?;
///
/// // Both see "Hello world": Ada makes it "Hello, world", and Bob marks "world" and deletes "ell".
/// let comma = text.insert(ada, 5, ",");
/// let bold = text.mark(6..11, "bold", "true");
/// let delete = text.delete(1..4);
/// let text = text.apply(&delete)?.apply(&comma)?.apply(&bold)?;
/// assert_eq!(text.to_string(), "Ho, world");
/// assert_eq!(text.marks_at(4).get("bold").map(String::as_str), Some("true"));
///
/// // Text typed inside a bold word is bold.
/// let text = text.apply(&text.insert(bob, 5, "hirl-w"))?;
/// assert_eq!(text.to_string(), "Ho, whirl-world");
/// assert!(text.marks_at(5).contains_key("bold"));
/// assert_eq!(text.char_at(5), Some(CharId { id: bob, offset: 0 }));
/// # Ok::<(), reapply_guest::TextConflict>(())
/// ```
///
/// # Two people at once
///
/// - Two people insert after the same character at once: both texts are there, each in one piece. The later one stands
///   first, directly after the character.
/// - Two people keep typing in the same place at once: each continues their own text, and the two do not mix.
/// - Two people delete the same characters at once: they are deleted once, and nobody gets a conflict.
/// - One person deletes characters while another inserts between them, or after one of them: the insert is there, in its place.
/// - One person deletes a character while another marks it: it is deleted.
/// - Two people set the same mark of the same characters at once: each character has the later value.
/// - Two people set different marks of the same characters at once: the characters have both.
/// - One person marks characters while another inserts between them: if the insert is decided first, it is not marked, since the one
///   who marked did not see it; if the mark is decided first, the insert takes it.
/// - Two people insert characters with the same ids at once, which never happens with freshly drawn ids: the later one gets the conflict
///   [`IdTaken`](TextConflict::IdTaken).
///
/// An insert takes the marks that its neighbours on both sides share: the nearest characters that are not deleted.
///
/// # JSON
///
/// `{"text": "...", "runs": [{"id": "...", "offset": 0, "length": 5, "marks": {"bold": "true"}}, ...]}`: the characters and their ids,
/// in order, without the deleted ones. The lengths add up to the text's length. Characters without marks have no `"marks"`.
///
/// A transition that holds a whole text, such as one that sets a map's value, also has the deleted runs in its JSON, each with
/// `"deleted": true` and without characters in `"text"`. So the transition survives the way through JSON.
///
/// # Who owns an id
///
/// A text does not know who sends a transition. Anyone may insert characters under any id that they have seen: in another's name, or with
/// the numbers that another is about to use, up to the last one, after which that id cannot be used any more. Among people who trust each
/// other this does not happen, since everyone draws their own ids. Where it matters, a [`Program`](crate::Program) binds each id to its
/// author with [`Owners`](crate::Owners), as the example machine `text` does.
///
/// # Costs
///
/// Characters that were typed one after the other are stored as one run, whose name is stored once. A transition takes O(log n)
/// time for its place and for each run that it changes, and time in proportion to the inserted text.
///
/// Deleted characters leave their names behind, so that an insert beside a character that somebody else has just deleted still finds its
/// place. Each deleted piece stays as one run without its text. With the cut that it makes in the text around it, that is some 10 bytes
/// in a snapshot and some 200 in memory. Deleted characters count towards [`CHARS_MAX`](Self::CHARS_MAX) and
/// [`PIECES_MAX`](Self::PIECES_MAX): a text that has reached one of these must be continued in a new one. A transition that would exceed a
/// limit conflicts with [`TooLong`](TextConflict::TooLong), which names the limit.
///
/// A deletion or mark visits each of its runs once, however many ranges name them.
#[derive(Clone, Default)]
pub struct Text {
    runs: Runs,
}

impl Text {
    /// The maximum number of characters of a text, including deleted ones.
    pub const CHARS_MAX: u32 = 4 * 1024 * 1024;

    /// The highest number of a character among those of its id.
    pub const OFFSET_MAX: u32 = u32::MAX - 1;

    /// The maximum number of bytes of text in one insert. Longer text takes several inserts.
    pub const INSERT_BYTES_MAX: u32 = 32 * 1024;

    /// The maximum number of ranges in one transition.
    pub const RANGES_MAX: u32 = 1024;

    /// The maximum number of bytes of a mark's name.
    pub const MARK_NAME_BYTES_MAX: u32 = 64;

    /// The maximum number of bytes of a mark's value.
    pub const MARK_VALUE_BYTES_MAX: u32 = 2048;

    /// The maximum number of marks of one character.
    pub const MARKS_PER_CHAR_MAX: u32 = 32;

    /// The maximum number of bytes of the names and values of one character's marks.
    pub const MARK_BYTES_PER_CHAR_MAX: u32 = 4 * 1024;

    /// The maximum number of bytes of the names and values of all marks of a text. Those of each piece count separately, as they appear in
    /// the JSON. A piece is a sequence of adjacent characters with consecutive numbers and the same marks.
    pub const MARK_BYTES_MAX: u32 = 4 * 1024 * 1024;

    /// The maximum number of pieces of a text, including deleted ones.
    pub const PIECES_MAX: u32 = 128 * 1024;

    /// Returns the number of characters, without the deleted ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.visible_chars() as usize
    }

    /// Returns whether the text has no characters, apart from deleted ones.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the name of the character at `index`. Searches the text: O(n).
    #[must_use]
    pub fn char_at(&self, index: usize) -> Option<CharId> {
        let (run, before) = self.run_at(index)?;
        Some(CharId { id: run.id, offset: run.offset + before })
    }

    /// Returns the index of a character; `None` if it is deleted or never existed. Searches the text: O(n).
    #[must_use]
    pub fn index_of(&self, char: CharId) -> Option<usize> {
        let found = self.runs.find(char).filter(|run| run.is_visible())?;
        let before = self.runs.visible().take_while(|run| run.start() != found.start());
        Some(before.map(|run| run.length as usize).sum::<usize>() + (char.offset - found.offset) as usize)
    }

    /// Returns the marks of the character at `index`, by name. Searches the text: O(n).
    #[must_use]
    pub fn marks_at(&self, index: usize) -> BTreeMap<String, String> {
        let marks = self.run_at(index).and_then(|(run, _)| run.marks());
        marks.map(|marks| marks.map().clone()).unwrap_or_default()
    }

    /// Returns the transition that inserts `text` before the character at `index`, or at the end if there is none. Searches the text: O(n).
    ///
    /// The id is a new one, or one that only this author uses; then the numbers of its characters continue.
    #[must_use]
    pub fn insert(&self, id: Id, index: usize, text: impl Into<String>) -> TextTransition {
        let after = index.min(self.len()).checked_sub(1).and_then(|before| self.char_at(before));
        TextTransition::Insert { id, offset: self.runs.next_offset(id), after, text: text.into() }
    }

    /// Returns the transition that deletes the characters at these indices. Searches the text: O(n).
    #[must_use]
    pub fn delete(&self, indices: Range<usize>) -> TextTransition {
        TextTransition::Delete { ranges: self.ranges(indices) }
    }

    /// Returns the transition that sets a mark of the characters at these indices. Searches the text: O(n).
    #[must_use]
    pub fn mark(&self, indices: Range<usize>, mark: impl Into<String>, value: impl Into<String>) -> TextTransition {
        TextTransition::Mark { ranges: self.ranges(indices), mark: mark.into(), value: Some(value.into()) }
    }

    /// Returns the transition that removes a mark from the characters at these indices. Searches the text: O(n).
    #[must_use]
    pub fn unmark(&self, indices: Range<usize>, mark: impl Into<String>) -> TextTransition {
        TextTransition::Mark { ranges: self.ranges(indices), mark: mark.into(), value: None }
    }

    /// Returns the run of the character at `index`, and the number of characters before it in the run.
    fn run_at(&self, index: usize) -> Option<(&Run, u32)> {
        let mut rest = u32::try_from(index).ok()?;
        for run in self.runs.visible() {
            match rest.checked_sub(run.length) {
                Some(after) => rest = after,
                None => return Some((run, rest)),
            }
        }
        None
    }

    /// Returns the names of the characters at these indices, in as few ranges as possible.
    fn ranges(&self, indices: Range<usize>) -> Vec<CharRange> {
        let mut ranges: Vec<CharRange> = Vec::new();
        let mut index = 0;
        for run in self.runs.visible() {
            let length = run.length as usize;
            let (from, to) = (indices.start.clamp(index, index + length), indices.end.clamp(index, index + length));
            if from < to {
                let offset = run.offset + (from - index) as u32;
                ranges.push(CharRange { id: run.id, offset, length: (to - from) as u32 });
            }
            index += length;
        }
        ranges.sort_unstable_by_key(|range| (range.id, range.offset));
        // A range may continue over deleted characters, since these stay as they are.
        ranges.dedup_by(|next, range| {
            let end = range.offset + range.length;
            let is_next = range.id == next.id && self.runs.are_deleted(range.id, end..next.offset);
            if is_next {
                range.length = next.offset + next.length - range.offset;
            }
            is_next
        });
        ranges
    }
}

/// Equal texts have the same characters with the same names and marks, deleted ones included.
impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        pieces(self.runs.iter()) == pieces(other.runs.iter())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runs.visible().try_for_each(|run| formatter.write_str(run.text()))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(pieces(self.runs.iter())).finish()
    }
}

#[cfg(test)]
mod tests;
