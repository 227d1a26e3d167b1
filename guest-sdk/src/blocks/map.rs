//! Machines by key.

use std::borrow::Borrow;
use std::fmt::{self, Debug};
use std::marker::PhantomData;

use imbl::OrdMap;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::bounds::{BYTES_MAX, ENTRIES_MAX, Load};
use crate::__private::version_around;
use crate::codec::stored_bytes;
use crate::{Key, StateMachine};

/// Machines by key, in the order of the keys: for things that people name, such as scores by player.
///
/// In JSON it is an object. Reads and changes cost O(log n), and clones share their entries. A change copies a few of its
/// neighbours, so large values belong behind an [`AtomRc`](crate::AtomRc).
///
/// A map holds at most `ENTRIES` keys, of at most `BYTES` bytes with their values, as a snapshot stores them. A transition that would
/// exceed a bound conflicts. `Map<String, Counter, 100, 10_000>` sets other bounds than [`ENTRIES_MAX`] and [`BYTES_MAX`].
///
/// # Two people at once
///
/// - Two people set one key at once: the later one wins.
/// - Two people set different keys at once: both are set.
/// - Two people change one key's value at once: both changes apply, one after the other.
/// - One sets a key and another changes its value at once: a later change applies to the new value, and an
///   earlier change is replaced together with the old value.
/// - One deletes a key and another changes its value at once: the key is gone; a later change conflicts.
/// - One deletes a key and another sets it at once: the later one wins.
/// - Two people delete one key at once: it is gone; the later deletion conflicts.
/// - Two people change one key's value at once, or begin it if it is missing: both changes apply, and neither is lost to the other's
///   beginning.
/// - One deletes a key and another changes its value, or begins it, at once: a later change begins again.
///
/// ```
/// use reapply_guest::{Counter, Map, MapConflict, StateMachine};
///
/// let scores: Map<String, Counter> = Map::default();
/// let scores = scores.apply(&scores.set("ada".to_owned(), Counter::default())).unwrap();
///
/// let point = scores.map_value("ada", |score| score.add(1)).expect("ada plays");
/// let scores = scores.apply(&point).unwrap();
/// assert_eq!(scores.get("ada").map(|score| score.value()), Some(1));
///
/// let scores = scores.apply(&scores.delete("ada".to_owned())).unwrap();
/// assert_eq!(scores.apply(&point), Err(MapConflict::NoSuchKey("ada".to_owned())));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent, bound = "")]
#[schemars(inline, rename = "Map_from_{K}_to_{V}", description = "")]
pub struct Map<K: Key, V: StateMachine, const ENTRIES: u32 = ENTRIES_MAX, const BYTES: u32 = BYTES_MAX> {
    #[schemars(with = "std::collections::BTreeMap<K, V>", transform = name_the_keys::<K>)]
    entries: OrdMap<K, V>,
    /// The bytes of all entries.
    #[serde(skip)]
    bytes: u64,
}

/// The transitions of a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "MapTransition_from_{K}_to_{V}")]
pub enum MapTransition<K: Key, V: StateMachine> {
    /// Sets the value of a key, new or existing.
    Set(K, V),
    /// Deletes a key and its value.
    Delete(K),
    /// Passes a transition on to a key's value.
    Value(K, V::Transition),
    /// Passes a transition on to a key's value, which begins as this one if the key is missing.
    ValueOr(K, V, V::Transition),
}

/// The conflicts of a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(rename = "MapConflict_from_{K}_to_{V}")]
pub enum MapConflict<K: Key, V: StateMachine> {
    /// The key does not exist, or no longer.
    NoSuchKey(K),
    /// The map would exceed one of these bounds.
    Full {
        /// The maximum number of keys.
        entries_max: u32,
        /// The maximum number of their bytes, with the values.
        bytes_max: u32,
    },
    /// The key's value has a conflict of its own.
    Value(K, V::Conflict),
}

/// For an object, schemars describes the values, but not the keys if these are strings of a certain form.
fn name_the_keys<K: Key>(schema: &mut Schema) {
    // Inlined, since the definitions that it would refer to do not exist here.
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let key = K::json_schema(&mut settings.into_generator()).to_value();
    let any_text = serde_json::json!({ "type": "string" });
    if is_text(&key) && key != any_text {
        schema.insert("propertyNames".to_owned(), key);
    }
}

/// Returns whether a schema allows texts only, such as the names of an enum's variants.
fn is_text(schema: &Value) -> bool {
    let list = |name: &str| schema.get(name).and_then(Value::as_array);
    let branches = list("oneOf").or_else(|| list("anyOf"));
    schema.get("type").is_some_and(|kind| kind == "string")
        || schema.get("const").is_some_and(Value::is_string)
        || list("enum").is_some_and(|values| values.iter().all(Value::is_string))
        || branches.is_some_and(|branches| branches.iter().all(is_text))
}

impl<K: Key, V: StateMachine, const ENTRIES: u32, const BYTES: u32> Map<K, V, ENTRIES, BYTES> {
    /// Returns a key's value.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// Returns whether the key exists.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.entries.contains_key(key)
    }

    /// Returns the keys in order, with their values.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        self.entries.iter()
    }

    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the map has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the transition that sets the value of `key`, new or existing.
    #[must_use]
    pub fn set(&self, key: K, value: V) -> MapTransition<K, V> {
        MapTransition::Set(key, value)
    }

    /// Returns the transition that deletes `key`.
    #[must_use]
    pub fn delete(&self, key: K) -> MapTransition<K, V> {
        MapTransition::Delete(key)
    }

    /// Returns the transition that applies the result of `transition` to the value at `key`; `None` if the key does not exist.
    pub fn map_value<Q: Ord + ?Sized>(
        &self,
        key: &Q,
        transition: impl FnOnce(&V) -> V::Transition,
    ) -> Option<MapTransition<K, V>>
    where
        K: Borrow<Q>,
    {
        let (key, value) = self.entries.get_key_value(key)?;
        Some(MapTransition::Value(key.clone(), transition(value)))
    }
}

impl<K: Key, V: StateMachine, const ENTRIES: u32, const BYTES: u32> Map<K, V, ENTRIES, BYTES> {
    /// Returns the transition that applies the result of `transition` to the value at `key`, or to `beginning` if the key does not exist.
    pub fn map_value_or<Q>(
        &self,
        key: &Q,
        beginning: V,
        transition: impl FnOnce(&V) -> V::Transition,
    ) -> MapTransition<K, V>
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        let transition = transition(self.entries.get(key).unwrap_or(&beginning));
        MapTransition::ValueOr(key.to_owned(), beginning, transition)
    }
}

impl<K, V, const ENTRIES: u32, const BYTES: u32> StateMachine for Map<K, V, ENTRIES, BYTES>
where
    K: Key,
    V: StateMachine + Debug + PartialEq,
{
    type Transition = MapTransition<K, V>;
    type Conflict = MapConflict<K, V>;

    const STATE_VERSION: u32 = version_around::<V>();

    fn apply(&self, transition: &MapTransition<K, V>) -> Result<Self, MapConflict<K, V>> {
        const { assert!(Self::STATE_VERSION == 1) };
        let mut map = self.clone();
        match transition {
            MapTransition::Set(key, value) => map.insert(key.clone(), value.clone()),
            MapTransition::Delete(key) => {
                let value = map.entries.remove(key).ok_or_else(|| MapConflict::NoSuchKey(key.clone()))?;
                map.bytes -= entry_bytes(key, &value);
            }
            MapTransition::Value(key, transition) => {
                let value = self.entries.get(key).ok_or_else(|| MapConflict::NoSuchKey(key.clone()))?;
                let value = value.apply(transition).map_err(|conflict| MapConflict::Value(key.clone(), conflict))?;
                map.insert(key.clone(), value);
            }
            MapTransition::ValueOr(key, beginning, transition) => {
                let value = self.entries.get(key).unwrap_or(beginning);
                let value = value.apply(transition).map_err(|conflict| MapConflict::Value(key.clone(), conflict))?;
                map.insert(key.clone(), value);
            }
        }
        if map.load().is_too_much(self.load(), ENTRIES, BYTES) {
            return Err(MapConflict::Full { entries_max: ENTRIES, bytes_max: BYTES });
        }
        Ok(map)
    }

    fn stored_bytes(&self) -> u64 {
        stored_bytes(&self.len()) + self.bytes
    }
}

impl<K: Key, V: StateMachine, const ENTRIES: u32, const BYTES: u32> Map<K, V, ENTRIES, BYTES> {
    fn load(&self) -> Load {
        Load { entries: self.len(), bytes: self.bytes }
    }

    fn insert(&mut self, key: K, value: V) {
        self.bytes += entry_bytes(&key, &value);
        if let Some(old) = self.entries.get(&key) {
            self.bytes -= entry_bytes(&key, old);
        }
        self.entries.insert(key, value);
    }
}

fn entry_bytes<K: Key, V: StateMachine>(key: &K, value: &V) -> u64 {
    stored_bytes(key) + value.stored_bytes()
}

impl<K: Key, V: StateMachine, const ENTRIES: u32, const BYTES: u32> Default for Map<K, V, ENTRIES, BYTES> {
    fn default() -> Self {
        Self { entries: OrdMap::new(), bytes: 0 }
    }
}

/// Collects the entries, however many: bounds apply to transitions only. If a key comes twice, the last value stays.
impl<K, V, const ENTRIES: u32, const BYTES: u32> FromIterator<(K, V)> for Map<K, V, ENTRIES, BYTES>
where
    K: Key,
    V: StateMachine,
{
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        entries.into_iter().for_each(|(key, value)| map.insert(key, value));
        map
    }
}

impl<'de, K, V, const ENTRIES: u32, const BYTES: u32> Deserialize<'de> for Map<K, V, ENTRIES, BYTES>
where
    K: Key,
    V: StateMachine,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_sorted = !deserializer.is_human_readable();
        deserializer.deserialize_map(MapVisitor { is_sorted, map: PhantomData })
    }
}

struct MapVisitor<M> {
    /// Whether the keys must come in order, so that only equal maps have equal bytes. People may write them in any order.
    is_sorted: bool,
    map: PhantomData<M>,
}

impl<'de, K, V, const ENTRIES: u32, const BYTES: u32> Visitor<'de> for MapVisitor<Map<K, V, ENTRIES, BYTES>>
where
    K: Key,
    V: StateMachine,
{
    type Value = Map<K, V, ENTRIES, BYTES>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = Self::Value::default();
        while let Some((key, value)) = access.next_entry()? {
            let is_new = match map.entries.get_max() {
                Some((last, _)) if self.is_sorted => *last < key,
                _ => !map.entries.contains_key(&key),
            };
            if !is_new {
                return Err(A::Error::custom(format_args!("the key {key:?} comes twice or out of order")));
            }
            map.bytes += entry_bytes(&key, &value);
            map.entries.insert(key, value);
        }
        Ok(map)
    }
}
