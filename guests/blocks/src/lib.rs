//! The machine for the benchmark and the long rooms of building blocks: one of each, with a size that is chosen when the room is created.

pub mod growth;

use reapply_guest::{
    Atom, AtomRc, Board, CharId, CharRange, Counter, Event, Id, Input, List, Map, Place, Program, Rng, Set,
    StateMachine, Text, TextConflict, TextTransition, export,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The maximum number of entries of one block, so that a full one fits well into a machine's memory.
pub const ENTRIES_MAX: u32 = 100_000;

/// The maximum number of edits of a text when its room is created.
pub const EDITS_MAX: u32 = 10_000;

/// One block of each kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Blocks {
    /// A value.
    pub atom: Atom<u32>,
    /// A large value.
    pub atom_rc: AtomRc<Vec<u32>>,
    /// A number.
    pub counter: Counter,
    /// Numbers by keys.
    pub map: Map<u32, Counter>,
    /// Keys.
    pub set: Set<u32>,
    /// Values in order.
    pub list: List<Atom<u32>>,
    /// Values in columns.
    pub board: Board<Atom<u32>, Atom<u32>>,
    /// Characters.
    pub text: Text,
}

/// The blocks, as a new room has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Room(pub Blocks);

/// The initial content of a room: everything is empty, except for the parts that are named here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The number of entries of the map, the set, the list, the board's column, the large value or the text.
    pub entries: u32,
    /// The block that has them.
    pub of: Block,
    /// The number of times the text was edited, a few characters at random places.
    pub edits: u32,
}

/// A block that grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Block {
    /// The large value.
    #[default]
    AtomRc,
    /// The map.
    Map,
    /// The set.
    Set,
    /// The list.
    List,
    /// The board, with one column.
    Board,
    /// The text.
    Text,
}

impl Program for Room {
    type Options = Options;
    type Transition = BlocksTransition;
    type Conflict = BlocksConflict;

    fn create(Options { entries, of, edits }: Options) -> Result<Self, String> {
        if entries > ENTRIES_MAX || edits > EDITS_MAX {
            return Err(format!("the limits are {ENTRIES_MAX} entries and {EDITS_MAX} edits"));
        }
        let mut blocks = Blocks::default();
        match of {
            Block::AtomRc => blocks.atom_rc = (0..entries).collect::<Vec<_>>().into(),
            Block::Map => blocks.map = (0..entries).map(|key| (key, Counter::default())).collect(),
            Block::Set => blocks.set = (0..entries).collect(),
            Block::List => {
                let items = (0..entries).map(|index| (item(index), index.into()));
                blocks.list = List::from_items(items).map_err(|conflict| format!("{conflict:?}"))?;
            }
            Block::Board => blocks.board = board(entries).ok_or("the board takes in fewer entries")?,
            Block::Text => blocks.text = edited_text(entries, edits).map_err(|conflict| format!("{conflict:?}"))?,
        }
        Ok(Self(blocks))
    }

    fn apply(&self, event: &Event<BlocksTransition>) -> Result<Self, BlocksConflict> {
        match &event.input {
            Input::Transition { transition, .. } => StateMachine::apply(&self.0, transition).map(Self),
            _ => Ok(self.clone()),
        }
    }
}

/// Returns the id of the list's or the board's item with this index at the beginning. The ids are drawn, as people's are.
#[must_use]
pub fn item(index: u32) -> Id {
    Rng::from_seed(index.into()).id()
}

/// The id of the board's column.
pub const COLUMN: Id = Id::from_bits(0x0f8f_ad5b_d9cb_469f_a165_7086_7728_950e);

/// The id of the characters that the text begins with.
pub const WRITER: Id = Id::from_bits(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);

/// Returns the transition that inserts a few characters after one of the writer's.
#[must_use]
pub fn insert_after_writer(offset: u32, id: Id) -> TextTransition {
    let after = Some(CharId { id: WRITER, offset });
    TextTransition::Insert { id, offset: 0, after, text: "edits".to_owned() }
}

/// Returns the transition that deletes a few of the writer's characters.
#[must_use]
pub fn delete_of_writer(offset: u32) -> TextTransition {
    TextTransition::Delete { ranges: vec![CharRange { id: WRITER, offset, length: 5 }] }
}

/// Returns a board with one column of the given number of items; `None` if so many do not fit.
fn board(items: u32) -> Option<Board<Atom<u32>, Atom<u32>>> {
    let board = Board::<Atom<u32>, Atom<u32>>::default();
    let board = StateMachine::apply(&board, &board.insert_column(COLUMN, Place::Last, 0_u32.into())).ok()?;
    (0..items).try_fold(board, |board, index| {
        let insert = board.insert(item(index), COLUMN, Place::Last, index.into());
        StateMachine::apply(&board, &insert).ok()
    })
}

/// Returns a text with the given number of characters, after edits at the given number of places.
fn edited_text(chars: u32, edits: u32) -> Result<Text, TextConflict> {
    let mut text = Text::default();
    for offset in (0..chars).step_by(PIECE.len()) {
        let after = offset.checked_sub(1).map(|last| CharId { id: WRITER, offset: last });
        let piece = &PIECE[..PIECE.len().min((chars - offset) as usize)];
        let insert = TextTransition::Insert { id: WRITER, offset, after, text: piece.to_owned() };
        text = StateMachine::apply(&text, &insert)?;
    }
    let mut rng = Rng::from_seed(edits.into());
    let places = u64::from(chars.saturating_sub(5));
    for _ in 0..edits {
        text = StateMachine::apply(&text, &insert_after_writer(rng.below(places) as u32, rng.id()))?;
        text = StateMachine::apply(&text, &delete_of_writer(rng.below(places) as u32))?;
    }
    Ok(text)
}

/// The words that the text repeats.
const PIECE: &str = "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs. \
                     How vexingly quick daft zebras jump! Sphinx of black quartz, judge my vow. ";

export!(Room);
