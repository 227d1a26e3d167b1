//! What each transition does to the runs.

use super::Text;
use super::marks::Marks;
use super::run::{Run, count_chars, runs_of, split_chars};
use super::runs::Runs;
use super::transition::{CharId, CharRange, TextConflict, TextLimit};

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
    place(runs, start, after, &marks, text);
    Ok(())
}

/// Deletes the characters of some ranges that are not deleted yet.
pub(super) fn delete(runs: &mut Runs, ranges: &[CharRange]) -> Result<(), TextConflict> {
    edit_all(runs, ranges, |_| Ok(None))
}

/// Sets a mark of the characters of some ranges, or takes it off.
pub(super) fn mark(runs: &mut Runs, ranges: &[CharRange], name: &str, value: Option<&str>) -> Result<(), TextConflict> {
    at_most(name.len() as u64, Text::MARK_NAME_BYTES_MAX, TextLimit::MarkNameBytes)?;
    at_most(value.map_or(0, str::len) as u64, Text::MARK_VALUE_BYTES_MAX, TextLimit::MarkValueBytes)?;
    // Runs beside each other mostly have the same marks, and then share them afterwards.
    let mut last: Option<(Marks, Marks)> = None;
    let marked = |old: &Marks| match &last {
        Some((before, after)) if before == old => Ok(Some(after.clone())),
        _ => {
            let new = old.with(name, value);
            at_most(new.map().len() as u64, Text::MARKS_PER_CHAR_MAX, TextLimit::MarksPerChar)?;
            last = Some((old.clone(), new.clone()));
            Ok(Some(new))
        }
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
fn edit_all(
    runs: &mut Runs,
    ranges: &[CharRange],
    mut marks: impl FnMut(&Marks) -> Result<Option<Marks>, TextConflict>,
) -> Result<(), TextConflict> {
    at_most(ranges.len() as u64, Text::RANGES_MAX, TextLimit::Ranges)?;
    ranges.iter().try_for_each(|range| edit(runs, range, &mut marks))
}

/// Gives all characters of a range that are not deleted other marks, or none to delete them.
fn edit(
    runs: &mut Runs,
    range: &CharRange,
    mut marks: impl FnMut(&Marks) -> Result<Option<Marks>, TextConflict>,
) -> Result<(), TextConflict> {
    let end = range.offset.saturating_add(range.length);
    let mut offset = range.offset;
    while offset < end {
        let char = CharId { id: range.id, offset };
        let run = runs.find(char).ok_or(TextConflict::NoSuchChar(char))?;
        let start = run.start();
        let stop = run.end().min(end);
        if let Some(old) = run.marks() {
            let new = marks(old)?;
            if new.as_ref() != Some(old) {
                let is_whole = offset == run.offset && stop == run.end();
                if !is_whole {
                    runs.cut(start, offset);
                    runs.cut(char, stop);
                }
                runs.set(char, new);
            }
        }
        offset = stop;
    }
    if offset - range.offset < range.length {
        return Err(TextConflict::NoSuchChar(CharId { id: range.id, offset }));
    }
    Ok(())
}

fn at_most(size: u64, max: u32, limit: TextLimit) -> Result<(), TextConflict> {
    if size > u64::from(max) { Err(TextConflict::TooLong { limit, max }) } else { Ok(()) }
}
