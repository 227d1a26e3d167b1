//! A text as a naive list of its characters, deleted ones included.

use std::collections::{BTreeMap, BTreeSet};

use reapply_guest::{CharId, CharRange, TextConflict, TextTransition};
use serde_json::{Value, json};

#[derive(Clone, Default)]
pub(crate) struct Model {
    chars: Vec<ModelChar>,
}

#[derive(Clone)]
struct ModelChar {
    id: CharId,
    char: char,
    deleted: bool,
    marks: BTreeMap<String, String>,
}

impl Model {
    pub(crate) fn apply(&self, transition: &TextTransition) -> Result<Self, TextConflict> {
        let mut next = self.clone();
        match transition {
            TextTransition::Insert { id, offset, after, text } => {
                next.insert(CharId { id: *id, offset: *offset }, *after, text)?;
            }
            TextTransition::Delete { ranges } => next.each(ranges, |char| char.deleted = true)?,
            TextTransition::Mark { ranges, mark, value } => next.each(ranges, |char| {
                match value {
                    Some(value) => char.marks.insert(mark.clone(), value.clone()),
                    None => char.marks.remove(mark),
                };
            })?,
        }
        Ok(next)
    }

    pub(crate) fn visible(&self) -> impl Iterator<Item = (CharId, &BTreeMap<String, String>)> {
        self.chars.iter().filter(|char| !char.deleted).map(|char| (char.id, &char.marks))
    }

    pub(crate) fn ids(&self) -> Vec<CharId> {
        self.chars.iter().map(|char| char.id).collect()
    }

    pub(crate) fn deleted(&self) -> usize {
        self.chars.iter().filter(|char| char.deleted).count()
    }

    /// Returns the JSON form that the docs promise.
    pub(crate) fn view(&self) -> Value {
        let visible = || self.chars.iter().filter(|char| !char.deleted);
        let mut runs: Vec<(CharId, u32, &BTreeMap<String, String>)> = Vec::new();
        for char in visible() {
            match runs.last_mut() {
                Some((start, length, marks))
                    if start.id == char.id.id && start.offset + *length == char.id.offset && **marks == char.marks =>
                {
                    *length += 1;
                }
                _ => runs.push((char.id, 1, &char.marks)),
            }
        }
        let runs = runs.into_iter().map(|(start, length, marks)| {
            let mut run = json!({ "id": start.id.to_string(), "offset": start.offset, "length": length });
            if !marks.is_empty() {
                run["marks"] = json!(marks);
            }
            run
        });
        json!({ "text": visible().map(|char| char.char).collect::<String>(), "runs": runs.collect::<Vec<_>>() })
    }

    fn insert(&mut self, start: CharId, after: Option<CharId>, text: &str) -> Result<(), TextConflict> {
        let place = match after {
            Some(after) => 1 + self.place(after).ok_or(TextConflict::NoSuchChar(after))?,
            None => 0,
        };
        let ids = (start.offset..).map(|offset| CharId { id: start.id, offset });
        let all: BTreeSet<CharId> = self.chars.iter().map(|char| char.id).collect();
        if let Some((taken, _)) = ids.clone().zip(text.chars()).find(|(id, _)| all.contains(id)) {
            return Err(TextConflict::IdTaken(taken));
        }
        let before = self.chars[..place].iter().rev().find(|char| !char.deleted);
        let behind = self.chars[place..].iter().find(|char| !char.deleted);
        let marks: BTreeMap<String, String> = match (before, behind) {
            (Some(before), Some(behind)) => {
                let shared = before.marks.iter().filter(|(name, value)| behind.marks.get(*name) == Some(*value));
                shared.map(|(name, value)| (name.clone(), value.clone())).collect()
            }
            _ => BTreeMap::new(),
        };
        let chars = ids.zip(text.chars());
        let chars: Vec<ModelChar> =
            chars.map(|(id, char)| ModelChar { id, char, deleted: false, marks: marks.clone() }).collect();
        self.chars.splice(place..place, chars);
        Ok(())
    }

    fn each(&mut self, ranges: &[CharRange], change: impl Fn(&mut ModelChar)) -> Result<(), TextConflict> {
        for range in ranges {
            for offset in range.offset..range.offset + range.length {
                let id = CharId { id: range.id, offset };
                let place = self.place(id).ok_or(TextConflict::NoSuchChar(id))?;
                change(&mut self.chars[place]);
            }
        }
        Ok(())
    }

    fn place(&self, id: CharId) -> Option<usize> {
        self.chars.iter().position(|char| char.id == id)
    }
}
