//! A document that several people write at once: a title and a text.
//!
//! The building block [`Text`] does the hard part: every character has a permanent name, so an edit means the same characters
//! wherever they have moved meanwhile. A page refers to characters by these names, which the view includes.
//!
//! Around the block, the program adds one rule: an id belongs to the participant who writes under it. So nobody can write in another's
//! name, or take the numbers that another is about to use.

use reapply_guest::{
    Atom, Event, Input, NoOptions, Owners, OwnersConflict, Program, StateMachine, Text, TextTransition, export, machine,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A title and a text.
///
/// ```
/// use reapply_guest::{Id, StateMachine};
/// use text::Document;
///
/// let (ada, bob) = (Id::from_bits(1), Id::from_bits(2));
/// let document = Document::default();
/// let document = document.apply(&document.map_body(|body| body.insert(ada, 0, "Dear all"))).unwrap();
///
/// // Ada keeps writing, and Bob changes the existing text, neither knowing of the other.
/// let on = document.map_body(|body| body.insert(ada, 8, ", hello"));
/// let delete = document.map_body(|body| body.delete(5..8));
/// let insert = document.map_body(|body| body.insert(bob, 5, "friends"));
/// let document = document.apply(&delete).unwrap().apply(&on).unwrap().apply(&insert).unwrap();
/// assert_eq!(document.body.to_string(), "Dear friends, hello");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub struct Document {
    /// The title.
    pub title: Atom<String>,
    /// The text. The demo's page draws the marks `highlight`, `underline` and `strike`, each with any value.
    pub body: Text,
}

/// A room's document, and the participants who write under each id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Room {
    document: Document,
    writers: Owners,
}

/// The conflicts of the document.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Conflict {
    /// The document has a conflict of its own.
    Document(DocumentConflict),
    /// The id belongs to another participant.
    Writers(OwnersConflict),
}

#[machine(state_version = 2, migrate_from = Document)]
impl Program for Room {
    type Options = NoOptions;
    type Transition = DocumentTransition;
    type Conflict = Conflict;

    fn apply(&self, event: &Event<DocumentTransition>) -> Result<Self, Conflict> {
        let Input::Transition { author, transition } = &event.input else { return Ok(self.clone()) };
        let writers = match transition {
            DocumentTransition::Body(TextTransition::Insert { id, .. }) => {
                self.writers.claim(*id, author).map_err(Conflict::Writers)?
            }
            _ => self.writers.clone(),
        };
        let document = StateMachine::apply(&self.document, transition).map_err(Conflict::Document)?;
        Ok(Self { document, writers })
    }

    fn view(&self) -> impl Serialize + JsonSchema {
        &self.document
    }
}

/// The first version did not record the owners of ids: from now on, each id belongs to whoever uses it first.
impl From<Document> for Room {
    fn from(document: Document) -> Self {
        Self { document, writers: Owners::default() }
    }
}

export!(Room);
