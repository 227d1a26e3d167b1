//! Items in several lists, between which they move.

use std::fmt::Debug;

use imbl::OrdMap;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bounds::{BYTES_MAX, ENTRIES_MAX, Load};
use crate::__private::version_around;
use crate::codec::stored_bytes;
use crate::{Constant, Id, List, ListConflict, ListTransition, Place, StateMachine};

/// Items in several lists, between which they move: for cards in columns, or tasks by day.
///
/// Taken out of one [`List`] and put into another, an item would lose what somebody else does to it at the same moment. Here a move is one
/// transition, and an item is the same wherever it is. Columns are machines as well (`C`, such as a title), in an order of their own, and
/// have ids; so have items (`T`), and no two items of a board share one.
///
/// In JSON it is an array of `{"id": ..., "column": ..., "items": [{"id": ..., "item": ...}]}`; a snapshot holds the same. Everything costs
/// O(log n), and clones share their items.
///
/// A board holds at most `ENTRIES` items and columns, of at most `BYTES` bytes, as a snapshot stores them; a transition by which it would grow
/// beyond conflicts. `Board<Title, Card, 100, 10_000>` names other bounds than [`ENTRIES_MAX`] and [`BYTES_MAX`].
///
/// # Two people at once
///
/// - One moves an item to another column and another changes it at once: both are done.
/// - Two people move one item at once: it is where the one decided later put it, and only there.
/// - Two people put items into one place at once: as in a [`List`].
/// - One puts an item beside another, and somebody moves that to another column at once: what is decided later conflicts.
/// - One deletes an item and another moves or changes it at once: it is gone; what is decided later conflicts.
/// - One deletes a column and another puts an item into it at once: what is decided later conflicts, since a column with items cannot be
///   deleted. So nobody's item goes with it unseen.
/// - One moves or changes a column and another moves items in it at once: both are done.
///
/// ```
/// use reapply_guest::{Atom, Board, Id, Place, StateMachine};
///
/// let [todo, done, card] = [1, 2, 3].map(Id::from_bits);
/// let text = |text: &str| Atom::from(text.to_owned());
/// let board: Board<Atom<String>, Atom<String>> = Board::default();
/// let board = board.apply(&board.insert_column(todo, Place::Last, text("To do"))).unwrap();
/// let board = board.apply(&board.insert_column(done, Place::Last, text("Done"))).unwrap();
/// let board = board.apply(&board.insert(card, todo, Place::Last, text("Write teh book"))).unwrap();
///
/// // One moves the card while another mends it.
/// let drag = board.move_to(card, done, Place::First);
/// let mend = board.map_item(card, |text| text.replace("Write the book".to_owned())).expect("the card is there");
/// let board = board.apply(&drag).unwrap().apply(&mend).unwrap();
/// assert_eq!(board.column_of(card), Some(done));
/// assert_eq!(board.get(card).unwrap().as_str(), "Write the book");
/// ```
#[derive(Clone, JsonSchema)]
#[schemars(transparent, inline, rename = "Board_of_{T}_in_{C}", description = "")]
pub struct Board<C: StateMachine, T: StateMachine, const ENTRIES: u32 = ENTRIES_MAX, const BYTES: u32 = BYTES_MAX> {
    /// The columns' order.
    #[schemars(with = "Vec<BoardColumn<C, T>>")]
    order: List<Constant<()>>,
    #[schemars(skip)]
    columns: OrdMap<Id, Column<C, T>>,
    /// Which column each item is in.
    #[schemars(skip)]
    homes: OrdMap<Id, Id>,
    /// Bytes of all columns, with their ids and items.
    #[schemars(skip)]
    bytes: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Column<C: StateMachine, T: StateMachine> {
    column: C,
    items: List<T>,
}

impl<C: StateMachine, T: StateMachine> Column<C, T> {
    fn stored_bytes(&self) -> u64 {
        size_of::<Id>() as u64 + self.column.stored_bytes() + self.items.bytes_in_all()
    }
}

/// A column of a board as it is stored and shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "BoardColumn_of_{T}_in_{C}")]
struct BoardColumn<C: StateMachine, T: StateMachine> {
    /// The column's name.
    id: Id,
    /// The column.
    column: C,
    /// Its items, in order.
    items: List<T>,
}

/// What may be asked of a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "BoardTransition_of_{T}_in_{C}")]
pub enum BoardTransition<C: StateMachine, T: StateMachine> {
    /// Puts a new item into a column.
    Insert {
        /// The name it will have; no other item's on this board.
        id: Id,
        /// The column.
        column: Id,
        /// Where in it.
        place: Place,
        /// The item.
        item: T,
    },
    /// Takes an item out.
    Delete(Id),
    /// Puts an item somewhere else, in its column or in another.
    Move {
        /// Which item.
        id: Id,
        /// The column.
        column: Id,
        /// Where in it.
        place: Place,
    },
    /// Passes a transition on to an item.
    Item(Id, T::Transition),
    /// Puts a new column among the others, without items.
    InsertColumn {
        /// The name it will have; no other column's.
        id: Id,
        /// Where.
        place: Place,
        /// The column.
        column: C,
    },
    /// Takes a column out that has no items.
    DeleteColumn(Id),
    /// Puts a column somewhere else, with its items.
    MoveColumn {
        /// Which column.
        id: Id,
        /// Where.
        place: Place,
    },
    /// Passes a transition on to a column.
    Column(Id, C::Transition),
}

/// Why a board stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "BoardConflict_of_{T}_in_{C}")]
pub enum BoardConflict<C: StateMachine, T: StateMachine> {
    /// There is no such item, or no longer, or not in that column.
    NoSuchItem(Id),
    /// There is no such column, or no longer.
    NoSuchColumn(Id),
    /// Another item has that id.
    IdTaken(Id),
    /// Another column has that id.
    ColumnIdTaken(Id),
    /// The column has items, perhaps since a moment ago.
    ColumnNotEmpty(Id),
    /// The board, or a column's list of items, would grow beyond one of these bounds.
    Full {
        /// Items and columns that there may be.
        entries_max: u32,
        /// Bytes that they may take.
        bytes_max: u32,
    },
    /// The item has a conflict of its own.
    Item(Id, T::Conflict),
    /// The column has a conflict of its own.
    Column(Id, C::Conflict),
}

impl<C: StateMachine, T: StateMachine, const ENTRIES: u32, const BYTES: u32> Board<C, T, ENTRIES, BYTES> {
    /// The columns in order: their ids, themselves, and their items.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &C, &List<T>)> {
        self.order
            .iter()
            .filter_map(|(id, _)| self.columns.get(&id).map(|Column { column, items }| (id, column, items)))
    }

    /// A column.
    #[must_use]
    pub fn column(&self, id: Id) -> Option<&C> {
        self.columns.get(&id).map(|column| &column.column)
    }

    /// The items of a column.
    #[must_use]
    pub fn items(&self, column: Id) -> Option<&List<T>> {
        self.columns.get(&column).map(|column| &column.items)
    }

    /// An item, in whichever column it is.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<&T> {
        self.items(self.column_of(id)?)?.get(id)
    }

    /// The column that an item is in.
    #[must_use]
    pub fn column_of(&self, id: Id) -> Option<Id> {
        self.homes.get(&id).copied()
    }

    /// How many items there are, in all columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.homes.len()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.homes.is_empty()
    }

    /// Asks for a new item.
    #[must_use]
    pub fn insert(&self, id: Id, column: Id, place: Place, item: T) -> BoardTransition<C, T> {
        BoardTransition::Insert { id, column, place, item }
    }

    /// Asks to take an item out.
    #[must_use]
    pub fn delete(&self, id: Id) -> BoardTransition<C, T> {
        BoardTransition::Delete(id)
    }

    /// Asks to put an item somewhere else, in its column or in another.
    #[must_use]
    pub fn move_to(&self, id: Id, column: Id, place: Place) -> BoardTransition<C, T> {
        BoardTransition::Move { id, column, place }
    }

    /// Asks of an item what `transition` makes of it; nothing, if there is no such item.
    pub fn map_item(&self, id: Id, transition: impl FnOnce(&T) -> T::Transition) -> Option<BoardTransition<C, T>> {
        self.get(id).map(|item| BoardTransition::Item(id, transition(item)))
    }

    /// Asks for a new column.
    #[must_use]
    pub fn insert_column(&self, id: Id, place: Place, column: C) -> BoardTransition<C, T> {
        BoardTransition::InsertColumn { id, place, column }
    }

    /// Asks to take a column out that has no items.
    #[must_use]
    pub fn delete_column(&self, id: Id) -> BoardTransition<C, T> {
        BoardTransition::DeleteColumn(id)
    }

    /// Asks to put a column somewhere else, with its items.
    #[must_use]
    pub fn move_column(&self, id: Id, place: Place) -> BoardTransition<C, T> {
        BoardTransition::MoveColumn { id, place }
    }

    /// Asks of a column what `transition` makes of it; nothing, if there is no such column.
    pub fn map_column(&self, id: Id, transition: impl FnOnce(&C) -> C::Transition) -> Option<BoardTransition<C, T>> {
        self.column(id).map(|column| BoardTransition::Column(id, transition(column)))
    }
}

impl<C, T, const ENTRIES: u32, const BYTES: u32> StateMachine for Board<C, T, ENTRIES, BYTES>
where
    C: StateMachine + Debug + PartialEq,
    T: StateMachine + Debug + PartialEq,
{
    type Transition = BoardTransition<C, T>;
    type Conflict = BoardConflict<C, T>;

    const STATE_VERSION: u32 = version_around::<C>() * version_around::<T>();

    fn apply(&self, transition: &BoardTransition<C, T>) -> Result<Self, BoardConflict<C, T>> {
        const { assert!(Self::STATE_VERSION == 1) };
        let mut board = self.clone();
        match transition {
            BoardTransition::Insert { id, .. } if self.homes.contains_key(id) => {
                return Err(BoardConflict::IdTaken(*id));
            }
            BoardTransition::Insert { id, column, place, item } => {
                let transition = ListTransition::Insert { id: *id, place: *place, item: item.clone() };
                board.change_items(*column, &transition)?;
                board.homes.insert(*id, *column);
            }
            BoardTransition::Delete(id) => {
                board.change_items(self.home(*id)?, &ListTransition::Delete(*id))?;
                board.homes.remove(id);
            }
            BoardTransition::Move { id, column, place } => board.relocate(*id, *column, *place)?,
            BoardTransition::Item(id, transition) => {
                board.change_items(self.home(*id)?, &ListTransition::Item(*id, transition.clone()))?;
            }
            BoardTransition::InsertColumn { id, place, column } => {
                board.change_order(&ListTransition::Insert { id: *id, place: *place, item: ().into() })?;
                let column = Column { column: column.clone(), items: List::default() };
                board.bytes += column.stored_bytes();
                board.columns.insert(*id, column);
            }
            BoardTransition::DeleteColumn(id) => {
                let column = board.columns.remove(id).ok_or(BoardConflict::NoSuchColumn(*id))?;
                if !column.items.is_empty() {
                    return Err(BoardConflict::ColumnNotEmpty(*id));
                }
                board.bytes -= column.stored_bytes();
                board.change_order(&ListTransition::Delete(*id))?;
            }
            BoardTransition::MoveColumn { id, place } => {
                board.change_order(&ListTransition::Move { id: *id, place: *place })?;
            }
            BoardTransition::Column(id, transition) => {
                let column = board.columns.get_mut(id).ok_or(BoardConflict::NoSuchColumn(*id))?;
                let changed = column.column.apply(transition);
                board.bytes -= column.column.stored_bytes();
                column.column = changed.map_err(|conflict| BoardConflict::Column(*id, conflict))?;
                board.bytes += column.column.stored_bytes();
            }
        }
        if board.load().is_too_much(self.load(), ENTRIES, BYTES) {
            return Err(BoardConflict::Full { entries_max: ENTRIES, bytes_max: BYTES });
        }
        Ok(board)
    }

    fn stored_bytes(&self) -> u64 {
        stored_bytes(&self.columns.len()) + self.bytes
    }
}

impl<C, T, const ENTRIES: u32, const BYTES: u32> Board<C, T, ENTRIES, BYTES>
where
    C: StateMachine,
    T: StateMachine + Debug + PartialEq,
{
    fn load(&self) -> Load {
        Load { entries: self.homes.len() + self.columns.len(), bytes: self.bytes }
    }

    fn home(&self, id: Id) -> Result<Id, BoardConflict<C, T>> {
        self.column_of(id).ok_or(BoardConflict::NoSuchItem(id))
    }

    fn change_items(&mut self, column: Id, transition: &ListTransition<T>) -> Result<(), BoardConflict<C, T>> {
        let column = self.columns.get_mut(&column).ok_or(BoardConflict::NoSuchColumn(column))?;
        let before = column.items.bytes_in_all();
        column.items = column.items.apply(transition).map_err(|conflict| match conflict {
            ListConflict::NoSuchItem(id) => BoardConflict::NoSuchItem(id),
            ListConflict::IdTaken(id) => BoardConflict::IdTaken(id),
            ListConflict::Full { entries_max, bytes_max } => BoardConflict::Full { entries_max, bytes_max },
            ListConflict::Item(id, conflict) => BoardConflict::Item(id, conflict),
        })?;
        self.bytes = self.bytes - before + column.items.bytes_in_all();
        Ok(())
    }

    fn change_order(&mut self, transition: &ListTransition<Constant<()>>) -> Result<(), BoardConflict<C, T>> {
        self.order = self.order.apply(transition).map_err(|conflict| match conflict {
            ListConflict::NoSuchItem(id) => BoardConflict::NoSuchColumn(id),
            ListConflict::IdTaken(id) => BoardConflict::ColumnIdTaken(id),
            ListConflict::Full { entries_max, bytes_max } => BoardConflict::Full { entries_max, bytes_max },
            ListConflict::Item(_, never) => match never {},
        })?;
        Ok(())
    }

    fn relocate(&mut self, id: Id, column: Id, place: Place) -> Result<(), BoardConflict<C, T>> {
        let home = self.home(id)?;
        if home == column {
            return self.change_items(column, &ListTransition::Move { id, place });
        }
        let item = self.get(id).cloned().ok_or(BoardConflict::NoSuchItem(id))?;
        self.change_items(column, &ListTransition::Insert { id, place, item })?;
        self.change_items(home, &ListTransition::Delete(id))?;
        self.homes.insert(id, column);
        Ok(())
    }
}

/// Boards are equal if the same columns and items stand in the same order.
impl<C, T, const ENTRIES: u32, const BYTES: u32> PartialEq for Board<C, T, ENTRIES, BYTES>
where
    C: StateMachine + PartialEq,
    T: StateMachine + PartialEq,
{
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order && self.columns == other.columns
    }
}

impl<C, T, const ENTRIES: u32, const BYTES: u32> Debug for Board<C, T, ENTRIES, BYTES>
where
    C: StateMachine + Debug,
    T: StateMachine + Debug,
{
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

impl<C: StateMachine, T: StateMachine, const ENTRIES: u32, const BYTES: u32> Default for Board<C, T, ENTRIES, BYTES> {
    fn default() -> Self {
        Self { order: List::default(), columns: OrdMap::new(), homes: OrdMap::new(), bytes: 0 }
    }
}

impl<C: StateMachine, T: StateMachine, const ENTRIES: u32, const BYTES: u32> Serialize for Board<C, T, ENTRIES, BYTES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The list of items is shared and not copied; the column is small.
        let columns =
            self.iter().map(|(id, column, items)| BoardColumn { id, column: column.clone(), items: items.clone() });
        serializer.collect_seq(columns.collect::<Vec<_>>())
    }
}

impl<'de, C, T, const ENTRIES: u32, const BYTES: u32> Deserialize<'de> for Board<C, T, ENTRIES, BYTES>
where
    C: StateMachine,
    T: StateMachine,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Vec::<BoardColumn<C, T>>::deserialize(deserializer)?;
        let order = List::from_items(read.iter().map(|column| (column.id, ().into())));
        let order = order.map_err(|_| D::Error::custom("two columns of the board have the same id"))?;
        let mut homes = OrdMap::new();
        for BoardColumn { id: column, items, .. } in &read {
            for (id, _) in items.iter() {
                if homes.insert(id, *column).is_some() {
                    return Err(D::Error::custom("two items of the board have the same id"));
                }
            }
        }
        let columns: OrdMap<Id, Column<C, T>> =
            read.into_iter().map(|BoardColumn { id, column, items }| (id, Column { column, items })).collect();
        let bytes = columns.values().map(Column::stored_bytes).sum();
        Ok(Self { order, columns, homes, bytes })
    }
}
