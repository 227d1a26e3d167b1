//! The two forms of a text: the stored form, with the deleted characters, and the form for user interfaces.
//!
//! Both hold pieces, so that equal texts have equal forms however they came about.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::Text;
use super::builder::Builder;
use super::deleted::has_deleted;
use super::marks::Marks;
use super::pieces::pieces;
use super::run::{Run, count_chars, split_chars};
use super::runs::Runs;
use super::table::{Named, Table};
use super::transition::CharId;
use crate::{Id, StateMachine};

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            View::of(&self.runs).serialize(serializer)
        } else {
            Stored::of(&self.runs).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let runs = if deserializer.is_human_readable() {
            View::deserialize(deserializer)?.runs()
        } else {
            Stored::deserialize(deserializer)?.runs()
        };
        runs.map(|runs| Self { runs }).map_err(D::Error::custom)
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = View::json_schema(generator);
        // Runs must fit their text, which a schema cannot express.
        let id = Id::from_bits(1);
        let examples = ["", "Grüße", "two\nlines"].map(|text| {
            let Ok(typed) = Text::default().apply(&Text::default().insert(id, 0, text)) else { return Value::Null };
            serde_json::to_value(&typed).unwrap_or_default()
        });
        schema.insert("examples".to_owned(), examples.into_iter().collect());
        schema
    }
}

/// A text, and the ids of its characters.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct View {
    /// The characters that are not deleted.
    text: String,
    /// The ids and marks of these characters, in order. The lengths of runs that are not deleted add up to the text's length, counted in
    /// Unicode scalar values.
    runs: Vec<ViewRun>,
}

/// Characters with consecutive ids and the same marks.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ViewRun {
    /// The id of the characters.
    id: Id,
    /// The number of the first one.
    offset: u32,
    /// The number of characters.
    length: u32,
    /// The marks of the characters: names and values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    marks: BTreeMap<String, String>,
    /// Whether the characters are deleted, and so not in the text. Views do not have such runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

/// The content of a snapshot. Runs refer to their id and marks by the place in a table, whose entries are in the order of first use.
#[derive(Serialize, Deserialize)]
struct Stored {
    ids: Vec<Id>,
    marks: Vec<Vec<(String, String)>>,
    runs: Vec<StoredRun>,
}

#[derive(Serialize, Deserialize)]
struct StoredRun {
    id: u32,
    offset: u32,
    content: StoredContent,
}

#[derive(Serialize, Deserialize)]
enum StoredContent {
    Deleted { length: u32 },
    Plain { text: String },
    Marked { text: String, marks: u32 },
}

impl View {
    fn of(runs: &Runs) -> Self {
        let has_deleted = has_deleted();
        let runs_of_view = pieces(runs.iter().filter(|run| has_deleted || run.is_visible())).into_iter().map(|piece| {
            let CharId { id, offset } = piece.start;
            let (marks, deleted) = piece.content.map_or((BTreeMap::new(), true), |(_, of)| (of.map().clone(), false));
            ViewRun { id, offset, length: piece.length, marks, deleted }
        });
        Self { text: runs.visible().map(Run::text).collect(), runs: runs_of_view.collect() }
    }

    fn runs(self) -> Result<Runs, String> {
        let mut rest = self.text.as_str();
        let mut builder = Builder::default();
        for ViewRun { id, offset, length, marks, deleted } in self.runs {
            if deleted {
                if !marks.is_empty() {
                    return Err("a run that is deleted has marks".to_owned());
                }
                builder.deleted(CharId { id, offset }, length)?;
                continue;
            }
            let (text, after) = split_chars(rest, length);
            if count_chars(text) < length {
                return Err("the lengths of the runs add up to more than the text has".to_owned());
            }
            rest = after;
            builder.visible(CharId { id, offset }, text, &marks.into())?;
        }
        if !rest.is_empty() {
            return Err("the lengths of the runs add up to less than the text has".to_owned());
        }
        builder.finish()
    }
}

impl Stored {
    fn of(runs: &Runs) -> Self {
        let mut ids = Table::default();
        let mut marks = Table::default();
        let mut stored = Vec::new();
        for piece in pieces(runs.iter()) {
            let content = match piece.content {
                None => StoredContent::Deleted { length: piece.length },
                Some((text, of_text)) if of_text.is_empty() => StoredContent::Plain { text },
                Some((text, of_text)) => StoredContent::Marked { text, marks: marks.place(of_text) },
            };
            stored.push(StoredRun { id: ids.place(piece.start.id), offset: piece.start.offset, content });
        }
        let marks = marks.entries.iter().map(|marks: &Marks| marks.map().clone().into_iter().collect());
        Self { ids: ids.entries, marks: marks.collect(), runs: stored }
    }

    fn runs(self) -> Result<Runs, String> {
        const TABLES: &str = "the tables of ids and marks are not those of the runs";
        let marks = self.marks.into_iter().map(stored_marks).collect::<Option<_>>().ok_or(TABLES)?;
        let mut ids = Named::new(self.ids).ok_or(TABLES)?;
        let mut marks = Named::new(marks).ok_or(TABLES)?;
        let mut builder = Builder::default();
        for StoredRun { id, offset, content } in self.runs {
            let start = CharId { id: *ids.at(id).ok_or(TABLES)?, offset };
            match content {
                StoredContent::Deleted { length } => builder.deleted(start, length)?,
                StoredContent::Plain { text } => builder.visible(start, &text, &Marks::default())?,
                StoredContent::Marked { text, marks: place } => {
                    builder.visible(start, &text, marks.at(place).ok_or(TABLES)?)?;
                }
            }
        }
        ids.finish().and(marks.finish()).ok_or(TABLES)?;
        builder.finish()
    }
}

/// The marks of an entry: at least one, in the order of their names.
fn stored_marks(marks: Vec<(String, String)>) -> Option<Marks> {
    let is_as_written = !marks.is_empty() && marks.is_sorted_by(|(before, _), (after, _)| before < after);
    is_as_written.then(|| marks.into_iter().collect::<BTreeMap<_, _>>().into())
}
