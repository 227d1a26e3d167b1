//! What participants may do to a text, and why it may not fit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Id;

/// Names one character of a [`Text`](crate::Text) for ever, wherever it stands and even when it is deleted.
///
/// Whoever inserts characters names them: an id that nobody else draws, and numbers that count on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CharId {
    /// The id of the inserts that the character came with.
    pub id: Id,
    /// Its number among the characters of that id.
    pub offset: u32,
}

/// Characters of one id with consecutive numbers. They need not stand side by side in the text, and some may be deleted already: a range
/// over these is shorter than two ranges around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CharRange {
    /// The id of the characters.
    pub id: Id,
    /// The number of the first one.
    pub offset: u32,
    /// How many they are.
    pub length: u32,
}

/// What participants may do to a [`Text`](crate::Text).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum TextTransition {
    /// Insert characters. Their ids are `(id, offset)`, `(id, offset + 1)`, and so on: one for each Unicode scalar value of `text`.
    Insert {
        /// The id of the new characters; the one of the last insert by the same page, where its offsets can count on.
        id: Id,
        /// The number of the first new character.
        offset: u32,
        /// The character that they come directly after, deleted or not; none for the start of the text.
        after: Option<CharId>,
        /// The characters.
        text: String,
    },
    /// Delete characters. Those that are deleted already stay so.
    Delete {
        /// The characters.
        ranges: Vec<CharRange>,
    },
    /// Mark characters (bold, a link, a comment), or take the mark off. Those that are deleted already have no marks.
    Mark {
        /// The characters.
        ranges: Vec<CharRange>,
        /// The mark's name.
        mark: String,
        /// The mark's value; none takes the mark off.
        value: Option<String>,
    },
}

/// Why a [`TextTransition`] does not fit a [`Text`](crate::Text).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum TextConflict {
    /// There is a character of this id already, or it was there and is deleted.
    IdTaken(CharId),
    /// There never was a character of this id.
    NoSuchChar(CharId),
    /// The transition, or the text after it, would be larger than it may.
    TooLong {
        /// What would be too large.
        limit: TextLimit,
        /// How large it may be.
        max: u32,
    },
}

/// What is limited about a [`Text`](crate::Text), by the constant of the same name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum TextLimit {
    /// The characters of a text, with the deleted ones.
    Chars,
    /// The number of a character among those of its id.
    Offset,
    /// The bytes of text in one insert.
    InsertBytes,
    /// The ranges in one transition.
    Ranges,
    /// The bytes of a mark's name.
    MarkNameBytes,
    /// The bytes of a mark's value.
    MarkValueBytes,
    /// The marks of one character.
    MarksPerChar,
    /// The bytes of the names and values of one character's marks.
    MarkBytesPerChar,
    /// The bytes of the names and values of all marks, those of each piece counted anew.
    MarkBytes,
    /// The pieces of a text, with the deleted ones.
    Pieces,
}
