//! Keys that are there or not.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use imbl::OrdSet;
use schemars::JsonSchema;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Key, Never, StateMachine};

/// Keys that are there or not, in their order: for tags, votes by person, or cells that are taken.
///
/// In JSON it is a sorted array. Looking up and changing cost O(log n), and clones share their keys.
///
/// # Two people at once
///
/// - Two people insert one key at once: it is there.
/// - Two people delete one key at once: it is gone.
/// - One inserts a key and another deletes it at once: the one decided later wins.
/// - Two people insert or delete different keys at once: both are done.
///
/// ```
/// use reapply_guest::{Set, StateMachine};
///
/// let tags: Set<String> = Set::default();
/// let Ok(tags) = tags.apply(&tags.insert("urgent".to_owned()));
/// assert!(tags.contains("urgent"));
/// let Ok(tags) = tags.apply(&tags.delete("boring".to_owned()));
/// assert_eq!(tags.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent, bound = "")]
#[schemars(inline, rename = "Set_of_{K}", description = "")]
pub struct Set<K: Key> {
    #[schemars(with = "std::collections::BTreeSet<K>")]
    keys: OrdSet<K>,
}

/// What may be asked of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SetTransition_of_{K}")]
pub enum SetTransition<K> {
    /// Makes sure that a key is there.
    Insert(K),
    /// Makes sure that a key is not there.
    Delete(K),
}

impl<K: Key> Set<K> {
    /// Whether the key is there.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.keys.contains(key)
    }

    /// The keys in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.keys.iter()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Asks for `key` to be there.
    pub fn insert(&self, key: K) -> SetTransition<K> {
        SetTransition::Insert(key)
    }

    /// Asks for `key` not to be there.
    pub fn delete(&self, key: K) -> SetTransition<K> {
        SetTransition::Delete(key)
    }
}

impl<K: Key> StateMachine for Set<K> {
    type Transition = SetTransition<K>;
    type Conflict = Never;

    fn apply(&self, transition: &SetTransition<K>) -> Result<Self, Never> {
        let mut keys = self.keys.clone();
        match transition {
            SetTransition::Insert(key) => keys.insert(key.clone()),
            SetTransition::Delete(key) => keys.remove(key),
        };
        Ok(Self { keys })
    }
}

impl<K: Key> Default for Set<K> {
    fn default() -> Self {
        Self { keys: OrdSet::new() }
    }
}

impl<K: Key> FromIterator<K> for Set<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        Self { keys: keys.into_iter().collect() }
    }
}

impl<'de, K: Key> Deserialize<'de> for Set<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_sorted = !deserializer.is_human_readable();
        deserializer.deserialize_seq(SetVisitor { is_sorted, set: PhantomData })
    }
}

struct SetVisitor<K> {
    /// Whether the keys must come in order, so that equal sets have equal bytes only. People may write them as they like.
    is_sorted: bool,
    set: PhantomData<K>,
}

impl<'de, K: Key> Visitor<'de> for SetVisitor<K> {
    type Value = Set<K>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array without doubles")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Set<K>, A::Error> {
        let mut keys = OrdSet::new();
        while let Some(key) = access.next_element::<K>()? {
            let is_new = match keys.get_max() {
                Some(last) if self.is_sorted => *last < key,
                _ => !keys.contains(&key),
            };
            if !is_new {
                return Err(A::Error::custom(format_args!("the key {key:?} comes twice or out of order")));
            }
            keys.insert(key);
        }
        Ok(Set { keys })
    }
}
