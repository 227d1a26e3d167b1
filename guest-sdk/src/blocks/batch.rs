//! Several transitions as one event.

use std::fmt::Debug;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::__private::version_around;
use crate::StateMachine;
use crate::limits::BATCH_TRANSITIONS_MAX;

/// A machine that takes several of its transitions as one event, all or none: for "move these five cards", or "rename it and tick it off".
///
/// In JSON and in snapshots it is the machine itself. Several transitions cost as much together as one by one, and count as one event:
/// nobody sees the states in between.
///
/// # Two people at once
///
/// - Two people send several transitions at once: all of the first event apply, and then all of the second. They never
///   mix.
/// - One of several transitions conflicts with a change of somebody else: none of them applies, and the conflict names the first that
///   fails.
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

/// The transitions of a batch's machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "BatchTransition_of_{M}")]
pub enum BatchTransition<M: StateMachine> {
    /// Applies one transition.
    One(M::Transition),
    /// Applies several transitions in order, or none if one of them conflicts.
    All(Vec<M::Transition>),
}

/// The conflicts of a batch's machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "BatchConflict_of_{M}")]
pub enum BatchConflict<M: StateMachine> {
    /// The only transition conflicts.
    One(M::Conflict),
    /// One of several transitions conflicts.
    At {
        /// The place of the transition among them, from 0.
        index: u32,
        /// The conflict.
        conflict: M::Conflict,
    },
    /// There are too many transitions in one event.
    TooMany {
        /// The maximum number.
        max: u32,
    },
}

impl<M: StateMachine> Batch<M> {
    /// Returns the machine.
    pub const fn machine(&self) -> &M {
        &self.0
    }

    /// Returns the batch of one transition.
    pub fn one(&self, transition: M::Transition) -> BatchTransition<M> {
        BatchTransition::One(transition)
    }

    /// Returns the batch of all these transitions, which applies them in order, or none of them. There are at most a thousand.
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
