//! Values that never change.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Never, StateMachine};

/// A value that never changes, such as the author of a list's item. It lets a machine hold a value that is not a machine.
///
/// In JSON and in snapshots it is the value itself.
///
/// # Two people at once
///
/// - A constant has no transitions, so two people can never disagree.
///
/// ```
/// use reapply_guest::{Constant, List, StateMachine};
///
/// // A chat, of which nobody rewrites what was said.
/// type Chat = List<Constant<String>>;
///
/// let chat = Chat::default();
/// let said = chat.append(reapply_guest::Id::from_bits(1), "hello".to_owned().into());
/// assert_eq!(chat.apply(&said).unwrap().iter().next().unwrap().1.value(), "hello");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, rename = "{T}", description = "")]
pub struct Constant<T>(T);

impl<T> Constant<T> {
    /// Returns the value.
    pub const fn value(&self) -> &T {
        &self.0
    }
}

impl<T: Clone + Serialize + DeserializeOwned + JsonSchema + 'static> StateMachine for Constant<T> {
    type Transition = Never;
    type Conflict = Never;

    fn apply(&self, transition: &Never) -> Result<Self, Never> {
        match *transition {}
    }
}

impl<T> Deref for Constant<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Constant<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}
