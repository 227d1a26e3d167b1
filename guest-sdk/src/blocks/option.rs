//! A machine that is there or not.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::__private::version_around;
use crate::StateMachine;

/// What may be asked of an `Option` of a machine.
///
/// An `Option<M>` is a machine: for what a thing may have, such as a due date that can be set, moved and taken away. In JSON it is the machine
/// or `null`.
///
/// # Two people at once
///
/// - Two people set it at once: the one decided later wins.
/// - Two people change it at once: both changes apply, one after the other.
/// - One sets it and another changes it at once: a change decided later applies to the new value, and one decided before is replaced with
///   the old value.
/// - One clears it and another changes it at once: it is gone; a change decided later conflicts.
/// - One clears it and another sets it at once: the one decided later wins.
/// - Two people clear it at once: it is gone.
///
/// ```
/// use reapply_guest::{Counter, OptionConflict, OptionMachine, StateMachine};
///
/// let price: Option<Counter> = None;
/// let price = price.apply(&price.set(20.into())).unwrap();
/// let dearer = price.map_some(|price| price.add(5)).expect("it has a price");
/// assert_eq!(price.apply(&dearer).unwrap(), Some(25.into()));
///
/// let free = price.apply(&price.clear()).unwrap();
/// assert_eq!(free.apply(&dearer), Err(OptionConflict::Nothing));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "OptionTransition_of_{M}")]
pub enum OptionTransition<M: StateMachine> {
    /// Puts this there, whatever there was before.
    Set(M),
    /// Makes sure that nothing is there.
    Clear,
    /// Passes a transition on to what is there.
    Some(M::Transition),
}

/// Why an `Option` of a machine stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "OptionConflict_of_{M}")]
pub enum OptionConflict<M: StateMachine> {
    /// Nothing is there, or no longer.
    Nothing,
    /// What is there has a conflict of its own.
    Some(M::Conflict),
}

/// Makes the transitions of an `Option` of a machine.
pub trait OptionMachine<M: StateMachine> {
    /// Asks to put `machine` there, whatever there was before.
    fn set(&self, machine: M) -> OptionTransition<M>;

    /// Asks for nothing to be there.
    fn clear(&self) -> OptionTransition<M>;

    /// Asks of what is there what `transition` makes of it; nothing, if nothing is there.
    fn map_some(&self, transition: impl FnOnce(&M) -> M::Transition) -> Option<OptionTransition<M>>;
}

impl<M: StateMachine> OptionMachine<M> for Option<M> {
    fn set(&self, machine: M) -> OptionTransition<M> {
        OptionTransition::Set(machine)
    }

    fn clear(&self) -> OptionTransition<M> {
        OptionTransition::Clear
    }

    fn map_some(&self, transition: impl FnOnce(&M) -> M::Transition) -> Option<OptionTransition<M>> {
        self.as_ref().map(|machine| OptionTransition::Some(transition(machine)))
    }
}

impl<M: StateMachine + Debug + PartialEq> StateMachine for Option<M> {
    type Transition = OptionTransition<M>;
    type Conflict = OptionConflict<M>;

    const STATE_VERSION: u32 = version_around::<M>();

    fn apply(&self, transition: &OptionTransition<M>) -> Result<Self, OptionConflict<M>> {
        const { assert!(Self::STATE_VERSION == 1) };
        match transition {
            OptionTransition::Set(machine) => Ok(Some(machine.clone())),
            OptionTransition::Clear => Ok(None),
            OptionTransition::Some(transition) => {
                let machine = self.as_ref().ok_or(OptionConflict::Nothing)?;
                machine.apply(transition).map(Some).map_err(OptionConflict::Some)
            }
        }
    }

    fn stored_bytes(&self) -> u64 {
        1 + self.as_ref().map_or(0, StateMachine::stored_bytes)
    }
}
