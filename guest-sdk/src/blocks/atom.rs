//! Values that are replaced as a whole.

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Never, StateMachine};

/// A value that is replaced as a whole: for values that two people cannot sensibly change at once, such as a name or a colour.
///
/// In JSON and in snapshots it is the value itself. A transition costs a clone of the value; [`AtomRc`] is for large values.
///
/// # Two people at once
///
/// - Two people replace the value at once: the later one wins.
///
/// ```
/// use reapply_guest::{Atom, AtomTransition, StateMachine};
///
/// let label = Atom::from("milk".to_owned());
/// let change = label.replace("oat milk".to_owned());
/// assert_eq!(change, AtomTransition::Replace("oat milk".to_owned()));
///
/// let Ok(changed) = label.apply(&change);
/// assert_eq!(changed.value(), "oat milk");
/// assert!(changed.starts_with("oat"), "an atom has its value's methods");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, rename = "{T}", description = "")]
pub struct Atom<T>(T);

/// An [`Atom`] whose value is shared instead of cloned: for large values, such as a picture.
///
/// In JSON and in snapshots it is the value itself. A transition costs the same whatever the value's size.
///
/// # Two people at once
///
/// - Two people replace the value at once: the later one wins.
///
/// ```
/// use reapply_guest::{AtomRc, StateMachine};
///
/// let picture = AtomRc::from(vec![0; 64 * 64]);
/// let Ok(darker) = picture.apply(&picture.replace(vec![255; 64 * 64]));
/// assert_eq!(darker[0], 255);
/// ```
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(transparent, inline, rename = "{T}", description = "")]
pub struct AtomRc<T>(#[schemars(with = "T")] Arc<T>);

/// The transitions of an atom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AtomTransition_of_{T}")]
pub enum AtomTransition<T> {
    /// Replaces the value with this one.
    Replace(T),
}

impl<T> Atom<T> {
    /// Returns the value.
    pub const fn value(&self) -> &T {
        &self.0
    }

    /// Returns the transition that replaces the value.
    pub fn replace(&self, value: T) -> AtomTransition<T> {
        AtomTransition::Replace(value)
    }
}

impl<T> StateMachine for Atom<T>
where
    T: Clone + Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema + 'static,
{
    type Transition = AtomTransition<T>;
    type Conflict = Never;

    fn apply(&self, transition: &AtomTransition<T>) -> Result<Self, Never> {
        let AtomTransition::Replace(value) = transition;
        Ok(Self(value.clone()))
    }
}

impl<T> Deref for Atom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Atom<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> AtomRc<T> {
    /// Returns the value.
    pub fn value(&self) -> &T {
        &self.0
    }

    /// Returns the transition that replaces the value.
    pub fn replace(&self, value: T) -> AtomTransition<Self> {
        AtomTransition::Replace(value.into())
    }
}

impl<T> StateMachine for AtomRc<T>
where
    T: Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema + 'static,
{
    type Transition = AtomTransition<Self>;
    type Conflict = Never;

    fn apply(&self, transition: &AtomTransition<Self>) -> Result<Self, Never> {
        let AtomTransition::Replace(value) = transition;
        Ok(value.clone())
    }
}

impl<T> Clone for AtomRc<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for AtomRc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for AtomRc<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: Serialize> Serialize for AtomRc<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::serialize(self, serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AtomRc<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}
