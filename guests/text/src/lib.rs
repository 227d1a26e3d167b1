//! A document that several people write at once: a title and a text.
//!
//! All that is hard about it is in the building block [`Text`]: every character has a name that it keeps, so an edit means the same characters
//! wherever they have moved meanwhile. A page speaks of characters by these names, which the view gives with the text.

use reapply_guest::{Atom, StateMachine, Text, export};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A room's document.
///
/// ```
/// use reapply_guest::{Id, StateMachine};
/// use text::Document;
///
/// let (ada, bob) = (Id::from_bits(1), Id::from_bits(2));
/// let document = Document::default();
/// let document = document.apply(&document.map_body(|body| body.insert(ada, 0, "Dear all"))).unwrap();
///
/// // Ada writes on, and Bob changes what is there, neither knowing of the other.
/// let on = document.map_body(|body| body.insert(ada, 8, ", hello"));
/// let delete = document.map_body(|body| body.delete(5..8));
/// let insert = document.map_body(|body| body.insert(bob, 5, "friends"));
/// let document = document.apply(&delete).unwrap().apply(&on).unwrap().apply(&insert).unwrap();
/// assert_eq!(document.body.to_string(), "Dear friends, hello");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Document {
    /// What it is called.
    pub title: Atom<String>,
    /// What it says. Marks that the demo's page draws: `highlight`, `underline` and `strike`, each with any value.
    pub body: Text,
}

export!(Document);
