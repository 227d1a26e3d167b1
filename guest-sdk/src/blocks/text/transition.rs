//! The transitions of a text, and its conflicts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Id;

/// The permanent name of one character of a [`Text`](crate::Text), wherever it moves and even when it is deleted.
///
/// Whoever inserts characters names them: an id that nobody else draws, and consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CharId {
    /// The id of the inserts that brought the character.
    pub id: Id,
    /// The number of the character within that id.
    pub offset: u32,
}

/// Characters of one id with consecutive numbers. They need not be adjacent in the text, and some may already be deleted: one range
/// over these is shorter than two ranges around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CharRange {
    /// The id of the characters.
    pub id: Id,
    /// The number of the first one.
    pub offset: u32,
    /// The number of characters.
    pub length: u32,
}

/// The transitions of a [`Text`](crate::Text).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum TextTransition {
    /// Insert characters. Their ids are `(id, offset)`, `(id, offset + 1)`, and so on: one for each Unicode scalar value of `text`.
    Insert {
        /// The id of the new characters. The page's last id, if its numbers can continue.
        id: Id,
        /// The number of the first new character.
        offset: u32,
        /// The character before the new ones, deleted or not; none for the start of the text.
        after: Option<CharId>,
        /// The characters.
        text: String,
    },
    /// Delete characters. Characters that are already deleted stay so.
    Delete {
        /// The characters.
        ranges: Vec<CharRange>,
    },
    /// Mark characters (bold, a link, a comment), or remove the mark. Deleted characters have no marks.
    Mark {
        /// The characters.
        ranges: Vec<CharRange>,
        /// The mark's name.
        mark: String,
        /// The mark's value; none removes the mark.
        value: Option<String>,
    },
}

/// The conflicts of a [`Text`](crate::Text).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum TextConflict {
    /// A character with this id exists already, or existed and is deleted.
    IdTaken(CharId),
    /// A character with this id never existed.
    NoSuchChar(CharId),
    /// The transition, or the text after it, would exceed a limit.
    TooLong {
        /// The size that would be too large.
        limit: TextLimit,
        /// The limit.
        max: u32,
    },
}

/// The limited sizes of a [`Text`](crate::Text), each named like its constant there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum TextLimit {
    /// The characters of a text, including deleted ones.
    Chars,
    /// The number of a character within its id.
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
    /// The bytes of the names and values of all marks, with those of each piece counted separately.
    MarkBytes,
    /// The pieces of a text, including deleted ones.
    Pieces,
}
