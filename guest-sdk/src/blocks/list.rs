//! Machines in an order that people choose.

use std::fmt::{self, Debug};

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bounds::{BYTES_MAX, ENTRIES_MAX, Load};
use super::order::{Entry, Sequence, Side};
use crate::__private::version_around;
use crate::codec::stored_bytes;
use crate::{Id, StateMachine};

/// Machines in an order that people choose: for tasks, cards on a board, or lines of a drawing.
///
/// Items have ids, chosen together with the transition that inserts them, so a transition means the same item wherever it has moved
/// meanwhile. An id is free again when its item is deleted. A transition for the deleted item would then reach a new item with the same id.
/// This never happens if each item gets a newly drawn id. A [`Place`] names the neighbours' ids, so it stays the place that its author saw.
///
/// In JSON it is an array of `{"id": ..., "item": ...}`; a snapshot holds the ids and items in order, and nothing else. Finding,
/// inserting, moving and deleting each cost O(log n), wherever and in whatever order people did so before. Clones share their
/// items. A change copies a few of its neighbours, so large items belong behind an [`AtomRc`](crate::AtomRc).
///
/// A list holds at most `ENTRIES` items, of at most `BYTES` bytes, as a snapshot stores them. A transition that would exceed a bound
/// conflicts. `List<Card, 100, 10_000>` sets other bounds than [`ENTRIES_MAX`] and [`BYTES_MAX`].
///
/// # Two people at once
///
/// - Two people append at once: both items are there, the later one last.
/// - Two people prepend at once: both items are there, the later one first.
/// - Two people insert after one item, or between the same two, at once: both are there, and the later one is directly
///   after that item.
/// - Two people insert before one item at once: both are there, and the later one is directly before that item.
/// - One inserts beside an item and another deletes it at once: a later insert conflicts. An insert *between* two items goes
///   beside the other, and conflicts only if both are gone.
/// - One inserts between two items and another moves them apart at once: a later insert goes after the first of them.
/// - Two people move one item at once: it is where the later one put it.
/// - One moves an item and another changes it at once: both changes apply.
/// - One deletes an item and another moves or changes it at once: it is gone; a later move or change conflicts.
/// - Two people delete one item at once: it is gone; the later deletion conflicts.
/// - Two people change one item at once: both changes apply, one after the other.
///
/// ```
/// use reapply_guest::{Atom, Id, List, ListConflict, StateMachine};
///
/// let [milk, bread] = [Id::from_bits(1), Id::from_bits(2)];
/// let shopping: List<Atom<String>> = List::default();
/// let shopping = shopping.apply(&shopping.append(milk, "milk".to_owned().into())).unwrap();
/// let shopping = shopping.apply(&shopping.prepend(bread, "bread".to_owned().into())).unwrap();
///
/// let oat = shopping.map_item(milk, |item| item.replace("oat milk".to_owned())).expect("milk is on the list");
/// let shopping = shopping.apply(&oat).unwrap();
/// let items: Vec<&str> = shopping.iter().map(|(_, item)| item.as_str()).collect();
/// assert_eq!(items, ["bread", "oat milk"]);
///
/// let shopping = shopping.apply(&shopping.delete(milk)).unwrap();
/// assert_eq!(shopping.apply(&oat), Err(ListConflict::NoSuchItem(milk)));
/// ```
#[derive(Clone, JsonSchema)]
#[schemars(transparent, inline, rename = "List_of_{T}", description = "")]
pub struct List<T: StateMachine, const ENTRIES: u32 = ENTRIES_MAX, const BYTES: u32 = BYTES_MAX> {
    #[schemars(with = "Vec<ListItem<T>>")]
    items: Sequence<ListItem<T>>,
    /// The bytes of all items, with their ids.
    #[schemars(skip)]
    bytes: u64,
}

/// The transitions of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "ListTransition_of_{T}")]
pub enum ListTransition<T: StateMachine> {
    /// Inserts a new item.
    Insert {
        /// The id of the item, which no other item on the list has.
        id: Id,
        /// The place of the item.
        place: Place,
        /// The item.
        item: T,
    },
    /// Deletes an item.
    Delete(Id),
    /// Moves an item.
    Move {
        /// The id of the item.
        id: Id,
        /// The place to move it to. An item that is moved beside itself stays where it is.
        place: Place,
    },
    /// Passes a transition on to an item.
    Item(Id, T::Transition),
}

/// A place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Place {
    /// Before all items.
    First,
    /// After all items.
    Last,
    /// Directly after an item.
    After(Id),
    /// Directly before an item.
    Before(Id),
    /// Directly after the first of two items; if that is gone, directly before the second.
    Between(Id, Id),
}

/// The conflicts of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "ListConflict_of_{T}")]
pub enum ListConflict<T: StateMachine> {
    /// The item does not exist, or no longer.
    NoSuchItem(Id),
    /// Another item has that id.
    IdTaken(Id),
    /// The list would exceed one of these bounds.
    Full {
        /// The maximum number of items.
        entries_max: u32,
        /// The maximum number of their bytes.
        bytes_max: u32,
    },
    /// The item has a conflict of its own.
    Item(Id, T::Conflict),
}

impl<T: StateMachine, const ENTRIES: u32, const BYTES: u32> List<T, ENTRIES, BYTES> {
    /// Creates a list of these items, in this order, however many: bounds apply to transitions only.
    ///
    /// # Errors
    ///
    /// Two items have the same id. The error is that id.
    pub fn from_items(items: impl IntoIterator<Item = (Id, T)>) -> Result<Self, ListConflict<T>> {
        Self::from_entries(items.into_iter().map(|(id, item)| ListItem { id, item }))
    }

    /// Returns the item with this id.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<&T> {
        self.items.get(&id).map(|item| &item.item)
    }

    /// Returns whether an item has this id.
    #[must_use]
    pub fn contains(&self, id: Id) -> bool {
        self.items.contains(&id)
    }

    /// Returns the items in order, with their ids.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Id, &T)> + ExactSizeIterator {
        self.items.iter().map(|ListItem { id, item }| (*id, item))
    }

    /// Returns the number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether the list has no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.len() == 0
    }

    /// Returns the transition that inserts a new item after all others.
    pub fn append(&self, id: Id, item: T) -> ListTransition<T> {
        ListTransition::Insert { id, place: Place::Last, item }
    }

    /// Returns the transition that inserts a new item before all others.
    pub fn prepend(&self, id: Id, item: T) -> ListTransition<T> {
        ListTransition::Insert { id, place: Place::First, item }
    }

    /// Returns the transition that inserts a new item directly after the item `anchor`.
    pub fn insert_after(&self, id: Id, anchor: Id, item: T) -> ListTransition<T> {
        ListTransition::Insert { id, place: Place::After(anchor), item }
    }

    /// Returns the transition that inserts a new item directly before the item `anchor`.
    pub fn insert_before(&self, id: Id, anchor: Id, item: T) -> ListTransition<T> {
        ListTransition::Insert { id, place: Place::Before(anchor), item }
    }

    /// Returns the transition that inserts a new item between the items `a` and `b`; see [`Place::Between`].
    pub fn insert_between(&self, id: Id, a: Id, b: Id, item: T) -> ListTransition<T> {
        ListTransition::Insert { id, place: Place::Between(a, b), item }
    }

    /// Returns the transition that deletes an item.
    pub fn delete(&self, id: Id) -> ListTransition<T> {
        ListTransition::Delete(id)
    }

    /// Returns the transition that moves an item.
    pub fn move_to(&self, id: Id, place: Place) -> ListTransition<T> {
        ListTransition::Move { id, place }
    }

    /// Returns the transition that applies the result of `transition` to an item; `None` if the item does not exist.
    pub fn map_item(&self, id: Id, transition: impl FnOnce(&T) -> T::Transition) -> Option<ListTransition<T>> {
        self.get(id).map(|item| ListTransition::Item(id, transition(item)))
    }
}

impl<T, const ENTRIES: u32, const BYTES: u32> StateMachine for List<T, ENTRIES, BYTES>
where
    T: StateMachine + Debug + PartialEq,
{
    type Transition = ListTransition<T>;
    type Conflict = ListConflict<T>;

    const STATE_VERSION: u32 = version_around::<T>();

    fn apply(&self, transition: &ListTransition<T>) -> Result<Self, ListConflict<T>> {
        const { assert!(Self::STATE_VERSION == 1) };
        let mut list = self.clone();
        match transition {
            ListTransition::Insert { id, .. } if self.contains(*id) => return Err(ListConflict::IdTaken(*id)),
            ListTransition::Insert { id, place, item } => {
                let after = self.item_before(*place)?;
                let item = ListItem { id: *id, item: item.clone() };
                list.bytes += item.stored_bytes();
                list.items.insert_after(after, item);
            }
            ListTransition::Delete(id) => {
                let item = list.items.remove(id).ok_or(ListConflict::NoSuchItem(*id))?;
                list.bytes -= item.stored_bytes();
            }
            ListTransition::Move { id, place } => {
                self.check(*id)?;
                let after = self.item_before(*place)?;
                if after != Some(*id) && after != self.neighbour(*id, Side::Before) {
                    let item = list.items.remove(id).ok_or(ListConflict::NoSuchItem(*id))?;
                    list.items.insert_after(after, item);
                }
            }
            ListTransition::Item(id, transition) => {
                let changed = list.items.update(id, |item| {
                    let before = item.stored_bytes();
                    item.item = item.item.apply(transition)?;
                    Ok((before, item.stored_bytes()))
                });
                let changed = changed.ok_or(ListConflict::NoSuchItem(*id))?;
                let (before, after) = changed.map_err(|conflict| ListConflict::Item(*id, conflict))?;
                list.bytes = list.bytes - before + after;
            }
        }
        if list.load().is_too_much(self.load(), ENTRIES, BYTES) {
            return Err(ListConflict::Full { entries_max: ENTRIES, bytes_max: BYTES });
        }
        Ok(list)
    }

    fn stored_bytes(&self) -> u64 {
        self.bytes_in_all()
    }
}

/// Lists are equal if the same ids and items are in the same order.
impl<T: StateMachine + PartialEq, const ENTRIES: u32, const BYTES: u32> PartialEq for List<T, ENTRIES, BYTES> {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}

impl<T: StateMachine + Eq, const ENTRIES: u32, const BYTES: u32> Eq for List<T, ENTRIES, BYTES> {}

impl<T: StateMachine + Debug, const ENTRIES: u32, const BYTES: u32> Debug for List<T, ENTRIES, BYTES> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.fmt(formatter)
    }
}

impl<T: StateMachine, const ENTRIES: u32, const BYTES: u32> Default for List<T, ENTRIES, BYTES> {
    fn default() -> Self {
        Self { items: Sequence::default(), bytes: 0 }
    }
}

impl<T: StateMachine, const ENTRIES: u32, const BYTES: u32> Serialize for List<T, ENTRIES, BYTES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.items.iter())
    }
}

impl<'de, T: StateMachine, const ENTRIES: u32, const BYTES: u32> Deserialize<'de> for List<T, ENTRIES, BYTES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<ListItem<T>>::deserialize(deserializer)?;
        Self::from_entries(items).map_err(|_| D::Error::custom("two items of the list have the same id"))
    }
}

/// An item of a list, with its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "ListItem_of_{T}")]
struct ListItem<T: StateMachine> {
    /// The item's id.
    id: Id,
    /// The item.
    item: T,
}

impl<T: StateMachine> Entry for ListItem<T> {
    type Key = Id;

    fn key(&self) -> Id {
        self.id
    }
}

impl<T: StateMachine> ListItem<T> {
    fn stored_bytes(&self) -> u64 {
        size_of::<Id>() as u64 + self.item.stored_bytes()
    }
}

impl<T: StateMachine, const ENTRIES: u32, const BYTES: u32> List<T, ENTRIES, BYTES> {
    pub(super) fn bytes_in_all(&self) -> u64 {
        stored_bytes(&self.len()) + self.bytes
    }

    fn load(&self) -> Load {
        Load { entries: self.len(), bytes: self.bytes }
    }

    fn from_entries(items: impl IntoIterator<Item = ListItem<T>>) -> Result<Self, ListConflict<T>> {
        let items: Vec<ListItem<T>> = items.into_iter().collect();
        let mut ids: Vec<Id> = items.iter().map(|item| item.id).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ListConflict::IdTaken(pair[0])),
            None => {
                let bytes = items.iter().map(ListItem::stored_bytes).sum();
                Ok(Self { items: items.into_iter().collect(), bytes })
            }
        }
    }

    fn check(&self, id: Id) -> Result<(), ListConflict<T>> {
        if self.contains(id) { Ok(()) } else { Err(ListConflict::NoSuchItem(id)) }
    }

    fn neighbour(&self, id: Id, side: Side) -> Option<Id> {
        self.items.beside(&id, side).map(|item| item.id)
    }

    /// Returns the item directly before a place; `None` if the place is the first.
    fn item_before(&self, place: Place) -> Result<Option<Id>, ListConflict<T>> {
        let before = |anchor| self.check(anchor).map(|()| self.neighbour(anchor, Side::Before));
        match place {
            Place::First => Ok(None),
            Place::Last => Ok(self.items.last().map(|item| item.id)),
            Place::After(anchor) => self.check(anchor).map(|()| Some(anchor)),
            Place::Before(anchor) => before(anchor),
            Place::Between(a, _) if self.contains(a) => Ok(Some(a)),
            Place::Between(a, b) => before(b).map_err(|_: ListConflict<T>| ListConflict::NoSuchItem(a)),
        }
    }
}
