//! Several transitions as one event.

use std::fmt::Debug;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::__private::version_around;
use crate::StateMachine;
use crate::limits::BATCH_TRANSITIONS_MAX;

/// A machine that takes several of its transitions as one event, all of them or none: for "move these five cards", or "rename it and tick it off".
///
/// In JSON and in snapshots it is the machine itself. Several at once cost what they cost one by one, and count as one event: nobody sees
/// the state in between.
///
/// # Two people at once
///
/// - Two people ask for several transitions at once: those of the one decided first are all applied, and then those of the other. None
///   come between.
/// - One of several conflicts with what somebody else did: none of them is applied, and the conflict names the first that cannot be.
///
/// ```
/// use reapply_guest::{Batch, BatchConflict, Counter, Map, MapConflict, StateMachine};
///
/// type Stock = Batch<Map<String, Counter>>;
///
/// let [tea, rice] = ["tea", "rice"].map(str::to_owned);
/// let stock: Stock = Map::from_iter([(tea.clone(), 5.into()), (rice, 5.into())]).into();
/// let change = |name, by| stock.map_value(name, |count| count.add(by)).expect("it is in stock");
/// let swapped = stock.apply(&stock.all([change("tea", -2), change("rice", 2)])).unwrap();
/// assert_eq!(swapped.get("rice").map(|count| count.value()), Some(7));
///
/// // Nobody has the rice without the tea.
/// let without_tea = stock.apply(&stock.one(stock.delete(tea.clone()))).unwrap();
/// let conflict = without_tea.apply(&stock.all([change("rice", 2), change("tea", -2)])).unwrap_err();
/// assert_eq!(conflict, BatchConflict::At { index: 1, conflict: MapConflict::NoSuchKey(tea) });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, rename = "{M}", description = "")]
pub struct Batch<M>(M);

/// What may be asked of a batch's machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "BatchTransition_of_{M}")]
pub enum BatchTransition<M: StateMachine> {
    /// Passes one transition on.
    One(M::Transition),
    /// Passes several on, in order, or none where one of them conflicts.
    All(Vec<M::Transition>),
}

/// Why a batch's machine stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "BatchConflict_of_{M}")]
pub enum BatchConflict<M: StateMachine> {
    /// The only transition conflicts.
    One(M::Conflict),
    /// One of several transitions conflicts.
    At {
        /// Its place among them, from 0.
        index: u32,
        /// Why.
        conflict: M::Conflict,
    },
    /// There are too many transitions in one event.
    TooMany {
        /// The most there may be.
        max: u32,
    },
}

impl<M: StateMachine> Batch<M> {
    /// The machine.
    pub const fn machine(&self) -> &M {
        &self.0
    }

    /// Asks for one transition.
    pub fn one(&self, transition: M::Transition) -> BatchTransition<M> {
        BatchTransition::One(transition)
    }

    /// Asks for all of these, in order, or none. There are at most a thousand.
    pub fn all(&self, transitions: impl IntoIterator<Item = M::Transition>) -> BatchTransition<M> {
        BatchTransition::All(transitions.into_iter().collect())
    }
}

impl<M: StateMachine + Debug + PartialEq> StateMachine for Batch<M> {
    type Transition = BatchTransition<M>;
    type Conflict = BatchConflict<M>;

    const STATE_VERSION: u32 = version_around::<M>();

    fn apply(&self, transition: &BatchTransition<M>) -> Result<Self, BatchConflict<M>> {
        const { assert!(Self::STATE_VERSION == 1) };
        match transition {
            BatchTransition::One(transition) => self.0.apply(transition).map(Self).map_err(BatchConflict::One),
            BatchTransition::All(transitions) if transitions.len() > BATCH_TRANSITIONS_MAX as usize => {
                Err(BatchConflict::TooMany { max: BATCH_TRANSITIONS_MAX })
            }
            BatchTransition::All(transitions) => {
                let mut machine = self.0.clone();
                for (index, transition) in (0..).zip(transitions) {
                    machine = machine.apply(transition).map_err(|conflict| BatchConflict::At { index, conflict })?;
                }
                Ok(Self(machine))
            }
        }
    }

    fn stored_bytes(&self) -> u64 {
        self.0.stored_bytes()
    }
}

impl<M> Deref for Batch<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.0
    }
}

impl<M> From<M> for Batch<M> {
    fn from(machine: M) -> Self {
        Self(machine)
    }
}
