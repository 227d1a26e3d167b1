//! Builds a text from its stored form, and refuses forms that no text would have written.

use super::Text;
use super::marks::Marks;
use super::run::{Run, count_chars, runs_of};
use super::runs::Runs;
use super::transition::CharId;

/// Adds the runs in order, each as long as possible.
#[derive(Default)]
pub(super) struct Builder {
    runs: Vec<Run>,
    chars: u64,
}

impl Builder {
    pub(super) fn visible(&mut self, start: CharId, text: &str, marks: &Marks) -> Result<(), String> {
        if !are_within_limits(marks) {
            return Err(format!("the marks at {start:?} exceed their limits"));
        }
        self.count(start, count_chars(text))?;
        for (index, run) in runs_of(start, text, marks).enumerate() {
            self.add(run, index == 0)?;
        }
        Ok(())
    }

    pub(super) fn deleted(&mut self, start: CharId, length: u32) -> Result<(), String> {
        self.count(start, length)?;
        self.add(Run { id: start.id, offset: start.offset, length, content: None }, true)
    }

    pub(super) fn finish(self) -> Result<Runs, String> {
        Runs::new(self.runs).ok_or_else(|| "a character is there twice".to_owned())
    }

    fn count(&mut self, start: CharId, length: u32) -> Result<(), String> {
        if length == 0 {
            return Err(format!("the run at {start:?} is empty"));
        }
        self.chars += u64::from(length);
        if self.chars > u64::from(Text::CHARS_MAX) {
            return Err(format!("there are more than {} characters, including deleted ones", Text::CHARS_MAX));
        }
        if u64::from(start.offset) + u64::from(length) - 1 > u64::from(Text::OFFSET_MAX) {
            return Err(format!("the characters of the run at {start:?} have numbers beyond {}", Text::OFFSET_MAX));
        }
        Ok(())
    }

    fn add(&mut self, run: Run, is_first: bool) -> Result<(), String> {
        if is_first && self.runs.last().is_some_and(|last| last.continues_with(&run)) {
            return Err(format!("the run at {:?} continues the one before it, but is separate", run.start()));
        }
        self.runs.push(run);
        Ok(())
    }
}

fn are_within_limits(marks: &Marks) -> bool {
    let fits = |text: &str, max: u32| text.len() <= max as usize;
    marks.map().len() <= Text::MARKS_PER_CHAR_MAX as usize
        && marks
            .map()
            .iter()
            .all(|(name, value)| fits(name, Text::MARK_NAME_BYTES_MAX) && fits(value, Text::MARK_VALUE_BYTES_MAX))
}
