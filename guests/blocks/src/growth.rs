//! Blocks that grow by one entry in each transition. Tests and benchmarks make long rooms of them.

use reapply_guest::{
    AtomTransition, BoardTransition, CharId, Counter, ListTransition, MapTransition, Place, SetTransition,
    TextTransition,
};

use crate::{Block, BlocksTransition, COLUMN, WRITER, item};

/// A block, and the place where it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The block that grows.
    pub of: Block,
    /// The place of each new entry.
    pub at: Side,
}

/// The place of a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// After all others.
    End,
    /// Right after the first entry, which so gets each of them as its neighbour.
    AfterFirst,
}

impl Growth {
    /// All blocks with entries, at both places.
    pub const ALL: [Self; 10] = [
        Self { of: Block::List, at: Side::End },
        Self { of: Block::List, at: Side::AfterFirst },
        Self { of: Block::Board, at: Side::End },
        Self { of: Block::Board, at: Side::AfterFirst },
        Self { of: Block::Text, at: Side::End },
        Self { of: Block::Text, at: Side::AfterFirst },
        Self { of: Block::Map, at: Side::End },
        Self { of: Block::Map, at: Side::AfterFirst },
        Self { of: Block::Set, at: Side::End },
        Self { of: Block::Set, at: Side::AfterFirst },
    ];

    /// Returns the options of a room whose block is empty, as JSON.
    #[must_use]
    pub fn options(self) -> String {
        format!("{{\"of\":\"{:?}\"}}", self.of)
    }

    /// Returns the transition that adds the entry with this number. Numbers count from 0.
    #[must_use]
    pub fn transition(self, number: u32) -> BlocksTransition {
        let id = item(number);
        match self.of {
            Block::List => {
                BlocksTransition::List(ListTransition::Insert { id, place: self.place(number), item: number.into() })
            }
            Block::Board => {
                let (place, item) = (self.place(number), number.into());
                BlocksTransition::Board(BoardTransition::Insert { id, column: COLUMN, place, item })
            }
            Block::Text => {
                let before = match self.at {
                    Side::End => number.checked_sub(1),
                    Side::AfterFirst => (number > 0).then_some(0),
                };
                let after = before.map(|offset| CharId { id: WRITER, offset });
                let text = Self::letter(number).to_string();
                BlocksTransition::Text(TextTransition::Insert { id: WRITER, offset: number, after, text })
            }
            Block::Map => BlocksTransition::Map(MapTransition::Set(self.key(number), Counter::from(1))),
            Block::Set => BlocksTransition::Set(SetTransition::Insert(self.key(number))),
            // A value has no entries: it is replaced by one that is longer.
            Block::AtomRc => BlocksTransition::AtomRc(AtomTransition::Replace((0..=number).collect::<Vec<_>>().into())),
        }
    }

    /// Returns the numbers of the given number of entries, in their order in the block.
    pub fn order(self, entries: u32) -> impl Iterator<Item = u32> {
        (0..entries).map(move |place| match self.at {
            Side::AfterFirst if place > 0 => entries - place,
            _ => place,
        })
    }

    /// Returns the text's character with this number.
    #[must_use]
    pub fn letter(number: u32) -> char {
        char::from(b'a' + (number % 26) as u8)
    }

    /// Returns the key of the entry with this number. Maps and sets are in the order of their keys.
    #[must_use]
    pub fn key(self, number: u32) -> u32 {
        match self.at {
            Side::AfterFirst if number > 0 => u32::MAX - number,
            _ => number,
        }
    }

    fn place(self, number: u32) -> Place {
        match self.at {
            Side::AfterFirst if number > 0 => Place::After(item(0)),
            _ => Place::Last,
        }
    }
}
