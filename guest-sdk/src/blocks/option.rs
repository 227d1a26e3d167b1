//! A machine that may be absent.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::__private::version_around;
use crate::StateMachine;

/// The transitions of an `Option` of a machine.
///
/// An `Option<M>` is a machine: for an optional part, such as a due date that can be set, moved and cleared. In JSON it is the machine
/// or `null`.
///
/// # Two people at once
///
/// - Two people set it at once: the later one wins.
/// - Two people change it at once: both changes apply, one after the other.
/// - One sets it and another changes it at once: a later change applies to the new value, and an earlier change is replaced together
///   with the old value.
/// - One clears it and another changes it at once: it is gone; a later change conflicts.
/// - One clears it and another sets it at once: the later one wins.
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
    /// Sets the machine, whatever there was before.
    Set(M),
    /// Clears the option, if it is not empty already.
    Clear,
    /// Passes a transition on to the machine.
    Some(M::Transition),
}

/// The conflicts of an `Option` of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "OptionConflict_of_{M}")]
pub enum OptionConflict<M: StateMachine> {
    /// The option is empty, perhaps only since a moment ago.
    Nothing,
    /// The machine has a conflict of its own.
    Some(M::Conflict),
}

/// Methods that make the transitions of an `Option` of a machine.
pub trait OptionMachine<M: StateMachine> {
    /// Returns the transition that sets `machine`, whatever there was before.
    fn set(&self, machine: M) -> OptionTransition<M>;

    /// Returns the transition that clears the option.
    fn clear(&self) -> OptionTransition<M>;

    /// Returns the transition that applies the result of `transition` to the machine; `None` if the option is empty.
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
