//! Ids that belong to participants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Constant, Id, Map, MapTransition, StateMachine};

/// A record of which participant an [`Id`] belongs to: the first one who used it.
///
/// A block does not know authors, so anyone may insert characters under another participant's id into a [`Text`](crate::Text). A
/// [`Program`](crate::Program) knows the author of each event. It calls `claim` before it passes a transition on, and stores the result
/// when the transition was applied:
///
/// ```
/// use reapply_guest::{Id, Owners, OwnersConflict};
///
/// let page = Id::from_bits(1);
/// let owners = Owners::default();
/// let owners = owners.claim(page, "ada")?;
/// assert_eq!(owners.owner(page), Some("ada"));
/// assert!(owners.claim(page, "ada").is_ok(), "it is hers");
/// assert_eq!(owners.claim(page, "bob"), Err(OwnersConflict::NotYourId(page)));
/// # Ok::<(), OwnersConflict>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Owners(Map<Id, Constant<String>, { Owners::IDS_MAX }, OWNERS_BYTES_MAX>);

/// The bytes of all ids and owners: 256 for each of them.
const OWNERS_BYTES_MAX: u32 = 256 * Owners::IDS_MAX;

/// The reasons why an id cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum OwnersConflict {
    /// Another participant used that id first.
    NotYourId(Id),
    /// The limit on ids or bytes is reached.
    Full {
        /// The maximum number of ids.
        entries_max: u32,
        /// The maximum number of bytes of the ids with their owners.
        bytes_max: u32,
    },
}

impl Owners {
    /// The maximum number of ids.
    pub const IDS_MAX: u32 = 64 * 1024;

    /// Returns the participant whom an id belongs to.
    #[must_use]
    pub fn owner(&self, id: Id) -> Option<&str> {
        self.0.get(&id).map(|owner| owner.value().as_str())
    }

    /// Records that `author` uses an id.
    ///
    /// # Errors
    ///
    /// The id belongs to another participant, or there are too many ids.
    pub fn claim(&self, id: Id, author: &str) -> Result<Self, OwnersConflict> {
        match self.owner(id) {
            Some(owner) if owner == author => Ok(self.clone()),
            Some(_) => Err(OwnersConflict::NotYourId(id)),
            None => {
                let claim = MapTransition::Set(id, author.to_owned().into());
                let full = OwnersConflict::Full { entries_max: Self::IDS_MAX, bytes_max: OWNERS_BYTES_MAX };
                self.0.apply(&claim).map(Self).map_err(|_| full)
            }
        }
    }
}
