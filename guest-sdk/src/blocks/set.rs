//! Sets of keys.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use imbl::OrdSet;
use schemars::JsonSchema;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::bounds::{BYTES_MAX, ENTRIES_MAX, Load};
use crate::codec::stored_bytes;
use crate::{Key, StateMachine};

/// A sorted set of keys: for tags, votes by person, or cells that are taken.
///
/// In JSON it is a sorted array. Reads and changes cost O(log n), and clones share their keys.
///
/// A set holds at most `ENTRIES` keys, of at most `BYTES` bytes, as a snapshot stores them. An insert that would exceed a bound conflicts.
/// `Set<String, 100, 10_000>` sets other bounds than [`ENTRIES_MAX`] and [`BYTES_MAX`].
///
/// # Two people at once
///
/// - Two people insert one key at once: it is there.
/// - Two people delete one key at once: it is gone.
/// - One inserts a key and another deletes it at once: the later one wins.
/// - Two people insert or delete different keys at once: both changes apply.
///
/// ```
/// use reapply_guest::{Set, StateMachine};
///
/// let tags: Set<String> = Set::default();
/// let tags = tags.apply(&tags.insert("urgent".to_owned()))?;
/// assert!(tags.contains("urgent"));
/// let tags = tags.apply(&tags.delete("boring".to_owned()))?;
/// assert_eq!(tags.len(), 1);
/// # Ok::<(), reapply_guest::SetConflict>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent, bound = "")]
#[schemars(inline, rename = "Set_of_{K}", description = "")]
pub struct Set<K: Key, const ENTRIES: u32 = ENTRIES_MAX, const BYTES: u32 = BYTES_MAX> {
    #[schemars(with = "std::collections::BTreeSet<K>")]
    keys: OrdSet<K>,
    /// The bytes of all keys.
    #[serde(skip)]
    bytes: u64,
}

/// The transitions of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SetTransition_of_{K}")]
pub enum SetTransition<K> {
    /// Inserts a key, if it is not there already.
    Insert(K),
    /// Deletes a key, if it is there.
    Delete(K),
}

/// The conflicts of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum SetConflict {
    /// The set would exceed one of these bounds.
    Full {
        /// The maximum number of keys.
        entries_max: u32,
        /// The maximum number of their bytes.
        bytes_max: u32,
    },
}

impl<K: Key, const ENTRIES: u32, const BYTES: u32> Set<K, ENTRIES, BYTES> {
    /// Returns whether the key is there.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.keys.contains(key)
    }

    /// Returns the keys in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.keys.iter()
    }

    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether the set has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the transition that inserts `key`.
    pub fn insert(&self, key: K) -> SetTransition<K> {
        SetTransition::Insert(key)
    }

    /// Returns the transition that deletes `key`.
    pub fn delete(&self, key: K) -> SetTransition<K> {
        SetTransition::Delete(key)
    }
}

impl<K: Key, const ENTRIES: u32, const BYTES: u32> StateMachine for Set<K, ENTRIES, BYTES> {
    type Transition = SetTransition<K>;
    type Conflict = SetConflict;

    fn apply(&self, transition: &SetTransition<K>) -> Result<Self, SetConflict> {
        let mut set = self.clone();
        match transition {
            SetTransition::Insert(key) => set.add(key.clone()),
            SetTransition::Delete(key) => {
                if set.keys.remove(key).is_some() {
                    set.bytes -= stored_bytes(key);
                }
            }
        }
        if set.load().is_too_much(self.load(), ENTRIES, BYTES) {
            return Err(SetConflict::Full { entries_max: ENTRIES, bytes_max: BYTES });
        }
        Ok(set)
    }

    fn stored_bytes(&self) -> u64 {
        stored_bytes(&self.len()) + self.bytes
    }
}

impl<K: Key, const ENTRIES: u32, const BYTES: u32> Set<K, ENTRIES, BYTES> {
    fn load(&self) -> Load {
        Load { entries: self.len(), bytes: self.bytes }
    }

    fn add(&mut self, key: K) {
        let bytes = stored_bytes(&key);
        if self.keys.insert(key).is_none() {
            self.bytes += bytes;
        }
    }
}

impl<K: Key, const ENTRIES: u32, const BYTES: u32> Default for Set<K, ENTRIES, BYTES> {
    fn default() -> Self {
        Self { keys: OrdSet::new(), bytes: 0 }
    }
}

/// Collects the keys, however many: bounds apply to transitions only.
impl<K: Key, const ENTRIES: u32, const BYTES: u32> FromIterator<K> for Set<K, ENTRIES, BYTES> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::default();
        keys.into_iter().for_each(|key| set.add(key));
        set
    }
}

impl<'de, K: Key, const ENTRIES: u32, const BYTES: u32> Deserialize<'de> for Set<K, ENTRIES, BYTES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_sorted = !deserializer.is_human_readable();
        deserializer.deserialize_seq(SetVisitor { is_sorted, set: PhantomData })
    }
}

struct SetVisitor<S> {
    /// Whether the keys must come in order, so that only equal sets have equal bytes. People may write them in any order.
    is_sorted: bool,
    set: PhantomData<S>,
}

impl<'de, K: Key, const ENTRIES: u32, const BYTES: u32> Visitor<'de> for SetVisitor<Set<K, ENTRIES, BYTES>> {
    type Value = Set<K, ENTRIES, BYTES>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array without doubles")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut set = Self::Value::default();
        while let Some(key) = access.next_element::<K>()? {
            let is_new = match set.keys.get_max() {
                Some(last) if self.is_sorted => *last < key,
                _ => !set.keys.contains(&key),
            };
            if !is_new {
                return Err(A::Error::custom(format_args!("the key {key:?} comes twice or out of order")));
            }
            set.add(key);
        }
        Ok(set)
    }
}
