//! A to-do list, made only of building blocks: it contains no rules.
//!
//! Its behaviour follows from the types. If two people change different things at once, both changes apply: one ticks an item while another
//! renames it, moves it, or adds one next to it. If two people rename the same item, the later one wins. And whoever
//! changes an item that somebody else has just deleted is told that it is gone.

use reapply_guest::{Atom, List, StateMachine, export};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The maximum number of items on a list.
pub const ITEMS_MAX: u32 = 10_000;

/// The maximum number of bytes of all items on a list, as a snapshot stores them.
pub const ITEMS_BYTES_MAX: u32 = 1024 * 1024;

/// A room's list.
///
/// ```
/// use reapply_guest::{Id, StateMachine};
/// use todo::{Item, Todo};
///
/// let (milk, todo) = (Id::from_bits(1), Todo::default());
/// let todo = todo.apply(&todo.map_items(|items| items.append(milk, Item::new("Buy milk")))).unwrap();
///
/// // Ada ticks it while Bob renames it. Neither has seen the other's change, and both apply.
/// let tick = todo.map_items(|items| items.map_item(milk, |item| item.map_done(|done| done.replace(true))).unwrap());
/// let rename = todo.map_items(|items| {
///     items.map_item(milk, |item| item.map_label(|label| label.replace("Buy oat milk".to_owned()))).unwrap()
/// });
/// let todo = todo.apply(&tick).unwrap().apply(&rename).unwrap();
/// let item = todo.items.get(milk).unwrap();
/// assert_eq!((item.label.as_str(), *item.done), ("Buy oat milk", true));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Todo {
    /// The title of the list.
    pub title: Atom<String>,
    /// The items, in the order that people have given them.
    pub items: List<Item, ITEMS_MAX, ITEMS_BYTES_MAX>,
}

/// One item on the list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Item {
    /// The text of the item.
    pub label: Atom<String>,
    /// Whether the item is done.
    pub done: Atom<bool>,
}

impl Item {
    /// Returns an item that is not done.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned().into(), done: false.into() }
    }
}

export!(Todo);
