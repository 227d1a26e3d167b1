//! Ids that belong to participants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Constant, Id, Map, MapTransition, StateMachine};

/// Remembers which participant an [`Id`] belongs to: the first one who used it.
///
/// A block knows no authors, so anybody may put characters under another's id into a [`Text`](crate::Text). A [`Program`](crate::Program) knows
/// the author of each event. It asks here before it passes a transition on, and stores what it gets where the transition was applied:
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

/// Bytes of all ids and owners: 256 for each of them.
const OWNERS_BYTES_MAX: u32 = 256 * Owners::IDS_MAX;

/// Why an id cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum OwnersConflict {
    /// Somebody else has used that id first.
    NotYourId(Id),
    /// No further id can be remembered.
    Full {
        /// Ids that there may be.
        entries_max: u32,
        /// Bytes that they may take with their owners.
        bytes_max: u32,
    },
}

impl Owners {
    /// Ids that are remembered.
    pub const IDS_MAX: u32 = 64 * 1024;

    /// The participant whom an id belongs to.
    #[must_use]
    pub fn owner(&self, id: Id) -> Option<&str> {
        self.0.get(&id).map(|owner| owner.value().as_str())
    }

    /// Notes that `author` uses an id.
    ///
    /// # Errors
    ///
    /// The id belongs to somebody else, or there are too many.
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
