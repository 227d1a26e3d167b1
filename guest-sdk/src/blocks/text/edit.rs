//! What each transition does to the runs.

use std::collections::BTreeMap;

use super::Text;
use super::marks::Marks;
use super::ranges::Ranges;
use super::run::{Run, count_chars, runs_of, split_chars};
use super::runs::Runs;
use super::transition::{CharId, CharRange, TextConflict, TextLimit};
use super::weight::Weight;

/// Inserts characters directly after another, which may be deleted, or first.
pub(super) fn insert(runs: &mut Runs, start: CharId, after: Option<CharId>, text: &str) -> Result<(), TextConflict> {
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
pub(super) fn delete(runs: &mut Runs, ranges: &[CharRange]) -> Result<(), TextConflict> {
    edit_all(runs, ranges, |_| Ok(None))
}

/// Sets a mark of the characters of some ranges, or takes it off.
pub(super) fn mark(runs: &mut Runs, ranges: &[CharRange], name: &str, value: Option<&str>) -> Result<(), TextConflict> {
    at_most(name.len() as u64, Text::MARK_NAME_BYTES_MAX, TextLimit::MarkNameBytes)?;
    at_most(value.map_or(0, str::len) as u64, Text::MARK_VALUE_BYTES_MAX, TextLimit::MarkValueBytes)?;
    // All runs that had the same marks share theirs afterwards, too.
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

/// How many characters from `start` on the run can take in, if it is what they were typed on to.
fn room_to_type_on(run: &Run, start: CharId, marks: &Marks) -> Option<u32> {
    let is_same = run.id == start.id && run.end() == start.offset && run.marks() == Some(marks);
    is_same.then(|| run.room()).filter(|room| *room > 0)
}

/// The run that ends with a character, after it was cut there if need be, and the marks of what is inserted there.
fn anchor(runs: &mut Runs, char: CharId) -> Result<(Option<CharId>, Marks), TextConflict> {
    let run = runs.find(char).ok_or(TextConflict::NoSuchChar(char))?;
    let start = run.start();
    // The number after a character's fits, since every run's end does.
    let after = char.offset + 1;
    let marks = match run.marks() {
        Some(marks) if after < run.end() => marks.clone(),
        _ => runs.marks_after(Some(start)),
    };
    runs.cut(start, after);
    Ok((Some(start), marks))
}

/// Gives the characters of some ranges that are not deleted other marks, or none to delete them.
///
/// The ranges are cut out first. Then each leaf of the order that holds some of their runs is gone through once.
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

/// Refuses an edit that adds to what is above its limit then. What is above one from earlier on may stay.
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
