//! A list of things to do, made of building blocks alone: no rule is written here.
//!
//! What may happen follows from the types. Two people who change different things at once both have their way: one ticks an item while another
//! renames it, moves it, or adds one next to it. Two who rename the same item do not: the one decided later wins. And whoever
//! changes an item that somebody else has just deleted is told that it is gone.

use reapply_guest::{Atom, List, StateMachine, export};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Things on a list.
pub const ITEMS_MAX: u32 = 10_000;

/// Bytes of all things on a list, as a snapshot stores them.
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
/// // Ada ticks it while Bob renames it. Neither has seen what the other did, and both are right.
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
    /// What the list is for.
    pub title: Atom<String>,
    /// What there is to do, in the order that people have given it.
    pub items: List<Item, ITEMS_MAX, ITEMS_BYTES_MAX>,
}

/// One thing to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Item {
    /// What it is.
    pub label: Atom<String>,
    /// Whether it is done.
    pub done: Atom<bool>,
}

impl Item {
    /// A thing that is still to do.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned().into(), done: false.into() }
    }
}

export!(Todo);
