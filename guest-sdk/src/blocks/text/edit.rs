//! The effect of each transition on a text.

use std::collections::BTreeMap;

use super::Text;
use super::marks::Marks;
use super::ranges::Ranges;
use super::run::{Run, count_chars, runs_of, split_chars};
use super::runs::Runs;
use super::transition::{CharId, CharRange, TextConflict, TextLimit, TextTransition};
use super::weight::Weight;
use crate::StateMachine;

impl StateMachine for Text {
    type Transition = TextTransition;
    type Conflict = TextConflict;

    fn apply(&self, transition: &TextTransition) -> Result<Self, TextConflict> {
        let mut runs = self.runs.clone();
        match transition {
            TextTransition::Insert { id, offset, after, text } => {
                insert(&mut runs, CharId { id: *id, offset: *offset }, *after, text)?;
            }
            TextTransition::Delete { ranges } => delete(&mut runs, ranges)?,
            TextTransition::Mark { ranges, mark, value } => set_mark(&mut runs, ranges, mark, value.as_deref())?,
        }
        Ok(Self { runs })
    }

    fn stored_bytes(&self) -> u64 {
        self.runs.weight().stored_bytes()
    }
}

/// Inserts characters first, or directly after another character, which may be deleted.
fn insert(runs: &mut Runs, start: CharId, after: Option<CharId>, text: &str) -> Result<(), TextConflict> {
    at_most(text.len() as u64, Text::INSERT_BYTES_MAX, TextLimit::InsertBytes)?;
    let length = count_chars(text);
    at_most(u64::from(runs.chars()) + u64::from(length), Text::CHARS_MAX, TextLimit::Chars)?;
    at_most((u64::from(start.offset) + u64::from(length)).saturating_sub(1), Text::OFFSET_MAX, TextLimit::Offset)?;
    let (after, marks) = match after {
        Some(char) => anchor(runs, char)?,
        None => (None, runs.marks_after(None)),
    };
    if length == 0 {
        return Ok(());
    }
    if let Some(char) = runs.first_taken(start, length) {
        return Err(TextConflict::IdTaken(char));
    }
    let before = runs.weight();
    place(runs, start, after, &marks, text);
    check_weight(before, runs.weight())
}

/// Deletes the characters of some ranges that are not deleted yet.
fn delete(runs: &mut Runs, ranges: &[CharRange]) -> Result<(), TextConflict> {
    edit_all(runs, ranges, |_| Ok(None))
}

/// Sets a mark of the characters of some ranges, or removes it.
fn set_mark(runs: &mut Runs, ranges: &[CharRange], name: &str, value: Option<&str>) -> Result<(), TextConflict> {
    at_most(name.len() as u64, Text::MARK_NAME_BYTES_MAX, TextLimit::MarkNameBytes)?;
    at_most(value.map_or(0, str::len) as u64, Text::MARK_VALUE_BYTES_MAX, TextLimit::MarkValueBytes)?;
    // Runs that shared their marks before share them afterwards, too.
    let mut known: BTreeMap<Marks, Marks> = BTreeMap::new();
    let marked = |old: &Marks| {
        if let Some(new) = known.get(old) {
            return Ok(Some(new.clone()));
        }
        let new = old.with(name, value);
        at_most(new.map().len() as u64, Text::MARKS_PER_CHAR_MAX, TextLimit::MarksPerChar)?;
        if new.bytes() > old.bytes() {
            at_most(new.bytes().into(), Text::MARK_BYTES_PER_CHAR_MAX, TextLimit::MarkBytesPerChar)?;
        }
        known.insert(old.clone(), new.clone());
        Ok(Some(new))
    };
    edit_all(runs, ranges, marked)
}

/// Adds new characters after a run or first.
fn place(runs: &mut Runs, mut start: CharId, mut after: Option<CharId>, marks: &Marks, mut text: &str) {
    let typed_on = after.and_then(|run| Some((run, room_to_type_on(runs.get(run)?, start, marks)?)));
    if let Some((before, room)) = typed_on {
        let (first, rest) = split_chars(text, room);
        for run in runs_of(start, first, marks) {
            start.offset = run.end();
            runs.extend(before, &run);
        }
        text = rest;
    }
    for run in runs_of(start, text, marks) {
        let place = after.replace(run.start());
        runs.insert(place, run);
    }
}

/// Returns how many characters from `start` on the run can take in, if they continue it.
fn room_to_type_on(run: &Run, start: CharId, marks: &Marks) -> Option<u32> {
    let is_same = run.id == start.id && run.end() == start.offset && run.marks() == Some(marks);
    is_same.then(|| run.room()).filter(|room| *room > 0)
}

/// Returns the run that ends with a character, cut there if necessary, and the marks for an insert there.
fn anchor(runs: &mut Runs, char: CharId) -> Result<(Option<CharId>, Marks), TextConflict> {
    let run = runs.find(char).ok_or(TextConflict::NoSuchChar(char))?;
    let start = run.start();
    // The next number fits, since the end of every run does.
    let after = char.offset + 1;
    let marks = match run.marks() {
        Some(marks) if after < run.end() => marks.clone(),
        _ => runs.marks_after(Some(start)),
    };
    runs.cut(start, after);
    Ok((Some(start), marks))
}

/// Changes the marks of the characters of some ranges that are not deleted, or deletes these.
///
/// The ranges are cut out first. Then each leaf of the order that holds some of their runs is visited once.
fn edit_all(
    runs: &mut Runs,
    ranges: &[CharRange],
    mut marks: impl FnMut(&Marks) -> Result<Option<Marks>, TextConflict>,
) -> Result<(), TextConflict> {
    at_most(ranges.len() as u64, Text::RANGES_MAX, TextLimit::Ranges)?;
    let before = runs.weight();
    let wanted = Ranges::new(ranges);
    for range in wanted.iter() {
        for char in [range.start(), range.end()] {
            let run = runs.find(char).filter(|run| run.offset < char.offset);
            let Some((start, old)) = run.and_then(|run| Some((run.start(), run.marks()?.clone()))) else { continue };
            if marks(&old)?.as_ref() != Some(&old) {
                runs.cut(start, char.offset);
            }
        }
    }
    let covered = runs.set_all(&wanted, marks)?;
    if covered < wanted.chars() {
        let missing = ranges.iter().find_map(|range| runs.first_missing(*range));
        return missing.map_or(Ok(()), |char| Err(TextConflict::NoSuchChar(char)));
    }
    check_weight(before, runs.weight())
}

/// Refuses an edit that grows a size that is then above its limit. A size that was already above it may stay.
fn check_weight(before: Weight, after: Weight) -> Result<(), TextConflict> {
    if after.pieces > before.pieces {
        at_most(after.pieces.into(), Text::PIECES_MAX, TextLimit::Pieces)?;
    }
    if after.mark_bytes > before.mark_bytes {
        at_most(after.mark_bytes, Text::MARK_BYTES_MAX, TextLimit::MarkBytes)?;
    }
    Ok(())
}

fn at_most(size: u64, max: u32, limit: TextLimit) -> Result<(), TextConflict> {
    if size > u64::from(max) { Err(TextConflict::TooLong { limit, max }) } else { Ok(()) }
}
