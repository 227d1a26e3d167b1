//! Items in several lists, with moves between them.

use std::fmt::Debug;

use imbl::OrdMap;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bounds::{BYTES_MAX, ENTRIES_MAX, Load};
use crate::__private::version_around;
use crate::codec::stored_bytes;
use crate::{Constant, Id, List, ListConflict, ListTransition, Place, StateMachine};

/// Items in several lists that can move from one list to another: for cards in columns, or tasks by day.
///
/// If an item were taken out of one [`List`] and put into another, it would lose what somebody else changes at the same moment. On a board
/// a move is one transition, and an item stays the same wherever it is. Columns are machines as well (`C`, such as a title), in an order
/// of their own. Columns and items (`T`) have ids, and no two items of a board share one.
///
/// In JSON it is an array of `{"id": ..., "column": ..., "items": [{"id": ..., "item": ...}]}`; a snapshot holds the same. Every operation
/// costs O(log n), and clones share their items.
///
/// A board holds at most `ENTRIES` items and columns, of at most `BYTES` bytes, as a snapshot stores them. A transition that would exceed
/// a bound conflicts. `Board<Title, Card, 100, 10_000>` sets other bounds than [`ENTRIES_MAX`] and [`BYTES_MAX`].
///
/// # Two people at once
///
/// - One moves an item to another column and another changes it at once: both changes apply.
/// - Two people move one item at once: it is where the later one put it, and only there.
/// - Two people put items into one place at once: as in a [`List`].
/// - One puts an item beside another, and somebody moves that one to another column at once: the later change conflicts.
/// - One deletes an item and another moves or changes it at once: it is gone; a later move or change conflicts.
/// - One deletes a column and another puts an item into it at once: the later change conflicts, since a column with items cannot be
///   deleted. So no item disappears with its column unseen.
/// - One moves or changes a column and another moves items in it at once: both changes apply.
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
    /// The order of the columns.
    #[schemars(with = "Vec<BoardColumn<C, T>>")]
    order: List<Constant<()>>,
    #[schemars(skip)]
    columns: OrdMap<Id, Column<C, T>>,
    /// The column of each item.
    #[schemars(skip)]
    homes: OrdMap<Id, Id>,
    /// The bytes of all columns, with their ids and items.
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

/// A column of a board, as it is stored and shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "BoardColumn_of_{T}_in_{C}")]
struct BoardColumn<C: StateMachine, T: StateMachine> {
    /// The column's id.
    id: Id,
    /// The column.
    column: C,
    /// Its items, in order.
    items: List<T>,
}

/// The transitions of a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "BoardTransition_of_{T}_in_{C}")]
pub enum BoardTransition<C: StateMachine, T: StateMachine> {
    /// Puts a new item into a column.
    Insert {
        /// The id of the item, which no other item on this board has.
        id: Id,
        /// The column.
        column: Id,
        /// The place in the column.
        place: Place,
        /// The item.
        item: T,
    },
    /// Takes an item out.
    Delete(Id),
    /// Moves an item, in its column or to another.
    Move {
        /// The id of the item.
        id: Id,
        /// The column to move it to.
        column: Id,
        /// The place in the column.
        place: Place,
    },
    /// Passes a transition on to an item.
    Item(Id, T::Transition),
    /// Adds a new column without items.
    InsertColumn {
        /// The id of the column, which no other column has.
        id: Id,
        /// The place among the columns.
        place: Place,
        /// The column.
        column: C,
    },
    /// Deletes a column that has no items.
    DeleteColumn(Id),
    /// Moves a column, with its items.
    MoveColumn {
        /// The id of the column.
        id: Id,
        /// The place among the columns.
        place: Place,
    },
    /// Passes a transition on to a column.
    Column(Id, C::Transition),
}

/// The conflicts of a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "BoardConflict_of_{T}_in_{C}")]
pub enum BoardConflict<C: StateMachine, T: StateMachine> {
    /// The item does not exist, or no longer, or is not in that column.
    NoSuchItem(Id),
    /// The column does not exist, or no longer.
    NoSuchColumn(Id),
    /// Another item has that id.
    IdTaken(Id),
    /// Another column has that id.
    ColumnIdTaken(Id),
    /// The column has items, perhaps only since a moment ago.
    ColumnNotEmpty(Id),
    /// The board, or a column's list of items, would grow beyond one of these bounds.
    Full {
        /// The maximum number of items and columns.
        entries_max: u32,
        /// The maximum number of their bytes.
        bytes_max: u32,
    },
    /// The item has a conflict of its own.
    Item(Id, T::Conflict),
    /// The column has a conflict of its own.
    Column(Id, C::Conflict),
}

impl<C: StateMachine, T: StateMachine, const ENTRIES: u32, const BYTES: u32> Board<C, T, ENTRIES, BYTES> {
    /// Returns the columns in order: their ids, themselves, and their items.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &C, &List<T>)> {
        self.order
            .iter()
            .filter_map(|(id, _)| self.columns.get(&id).map(|Column { column, items }| (id, column, items)))
    }

    /// Returns a column.
    #[must_use]
    pub fn column(&self, id: Id) -> Option<&C> {
        self.columns.get(&id).map(|column| &column.column)
    }

    /// Returns the items of a column.
    #[must_use]
    pub fn items(&self, column: Id) -> Option<&List<T>> {
        self.columns.get(&column).map(|column| &column.items)
    }

    /// Returns an item, in whichever column it is.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<&T> {
        self.items(self.column_of(id)?)?.get(id)
    }

    /// Returns the column that an item is in.
    #[must_use]
    pub fn column_of(&self, id: Id) -> Option<Id> {
        self.homes.get(&id).copied()
    }

    /// Returns the number of items, in all columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.homes.len()
    }

    /// Returns whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.homes.is_empty()
    }

    /// Returns the transition that adds a new item.
    #[must_use]
    pub fn insert(&self, id: Id, column: Id, place: Place, item: T) -> BoardTransition<C, T> {
        BoardTransition::Insert { id, column, place, item }
    }

    /// Returns the transition that deletes an item.
    #[must_use]
    pub fn delete(&self, id: Id) -> BoardTransition<C, T> {
        BoardTransition::Delete(id)
    }

    /// Returns the transition that moves an item, in its column or to another.
    #[must_use]
    pub fn move_to(&self, id: Id, column: Id, place: Place) -> BoardTransition<C, T> {
        BoardTransition::Move { id, column, place }
    }

    /// Returns the transition that applies the result of `transition` to an item; `None` if the item does not exist.
    pub fn map_item(&self, id: Id, transition: impl FnOnce(&T) -> T::Transition) -> Option<BoardTransition<C, T>> {
        self.get(id).map(|item| BoardTransition::Item(id, transition(item)))
    }

    /// Returns the transition that adds a new column.
    #[must_use]
    pub fn insert_column(&self, id: Id, place: Place, column: C) -> BoardTransition<C, T> {
        BoardTransition::InsertColumn { id, place, column }
    }

    /// Returns the transition that deletes a column without items.
    #[must_use]
    pub fn delete_column(&self, id: Id) -> BoardTransition<C, T> {
        BoardTransition::DeleteColumn(id)
    }

    /// Returns the transition that moves a column, with its items.
    #[must_use]
    pub fn move_column(&self, id: Id, place: Place) -> BoardTransition<C, T> {
        BoardTransition::MoveColumn { id, place }
    }

    /// Returns the transition that applies the result of `transition` to a column; `None` if the column does not exist.
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

/// Boards are equal if the same columns and items are in the same order.
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
