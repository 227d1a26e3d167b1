//! `Map`.

use std::collections::BTreeMap;

use reapply_guest::{Id, Key, Map, MapConflict, MapTransition};
use reapply_simulation::{History, Random};

use crate::naive::{ConflictOf, Fresh, Naive, TransitionOf};

/// The entries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NaiveMap<K: Ord, N>(pub(crate) BTreeMap<K, N>);

impl<K: Ord, N> Default for NaiveMap<K, N> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// The keys, so few that clients meet at them.
pub(crate) trait Few: Key {
    fn few(random: &mut Random) -> Self;
}

impl Few for Id {
    fn few(random: &mut Random) -> Self {
        Self::from_bits(random.below(4).into())
    }
}

impl Few for String {
    fn few(random: &mut Random) -> Self {
        ["", "a", "ab", "ü"][random.index(4)].to_owned()
    }
}

/// A change of a map of `N`s.
type Change<K, N> = MapTransition<K, <N as Naive>::Machine>;

impl<K: Few, N: Fresh> Naive for NaiveMap<K, N> {
    type Machine = Map<K, N::Machine>;

    fn of(map: &Self::Machine) -> Self {
        Self(map.iter().map(|(key, value)| (key.clone(), N::of(value))).collect())
    }

    fn agrees(&self, map: &Self::Machine) -> bool {
        let same = |((key, value), (at, machine)): ((&K, &N), (&K, &N::Machine))| {
            key == at && value.agrees(machine) && map.get(key) == Some(machine)
        };
        self.0.len() == map.len() && self.0.iter().zip(map.iter()).all(same)
    }

    fn apply(&mut self, transition: &TransitionOf<Self>) -> Result<(), ConflictOf<Self>> {
        match transition {
            MapTransition::Set(key, value) => {
                self.0.insert(key.clone(), N::of(value));
                Ok(())
            }
            MapTransition::Delete(key) => {
                self.0.remove(key).map(drop).ok_or_else(|| MapConflict::NoSuchKey(key.clone()))
            }
            MapTransition::Value(key, inner) => {
                let value = self.0.get_mut(key).ok_or_else(|| MapConflict::NoSuchKey(key.clone()))?;
                value.apply(inner).map_err(|conflict| MapConflict::Value(key.clone(), conflict))
            }
            MapTransition::ValueOr(key, beginning, inner) => {
                let mut value = self.0.get(key).cloned().unwrap_or_else(|| N::of(beginning));
                value.apply(inner).map_err(|conflict| MapConflict::Value(key.clone(), conflict))?;
                self.0.insert(key.clone(), value);
                Ok(())
            }
        }
    }

    fn act(client: usize, shown: &Self::Machine, random: &mut Random) -> Option<TransitionOf<Self>> {
        let key = K::few(random);
        let Some(value) = shown.get(&key) else {
            let fresh = N::fresh(random);
            return Some(match random.percent(50) {
                true => shown.set(key, fresh),
                false => MapTransition::ValueOr(key, fresh.clone(), N::act(client, &fresh, random)?),
            });
        };
        Some(match random.below(12) {
            0 => shown.set(key, N::fresh(random)),
            1..4 => shown.delete(key),
            4 | 5 => MapTransition::ValueOr(key, N::fresh(random), N::act(client, value, random)?),
            _ => MapTransition::Value(key, N::act(client, value, random)?),
        })
    }

    /// Two people change different keys at once: both changes stay. They set the same key: the later value stays. One deletes
    /// a key that another changes: nothing of the change comes back.
    fn check(history: &History<TransitionOf<Self>>, models: &[Self]) -> Vec<(&'static str, u64)> {
        let mut of_keys: BTreeMap<&K, Vec<&TransitionOf<Self>>> = BTreeMap::new();
        for accepted in &history.accepted {
            of_keys.entry(key_of::<K, N>(&accepted.what)).or_default().push(&accepted.what);
        }
        let mut end = models.last().expect("there is a first state").0.clone();
        for (key, transitions) in of_keys {
            assert_eq!(end.remove(key), alone::<K, N>(&transitions), "{key:?} is not what was done to it alone");
        }
        assert!(end.is_empty(), "nobody asked for {end:?}");
        use MapTransition::{Delete, Set, Value, ValueOr};
        let pairs = |is_meant: fn(&TransitionOf<Self>, &TransitionOf<Self>) -> bool| {
            history.blind_pairs(|a, b| key_of::<K, N>(a) == key_of::<K, N>(b) && is_meant(a, b))
        };
        let too_late = |is_meant: fn(&TransitionOf<Self>) -> bool| {
            history.count_conflicts(|what, words| is_meant(what) && words.contains("NoSuchKey"))
        };
        vec![
            ("one key set by two at once", pairs(|a, b| matches!((a, b), (Set(..), Set(..))))),
            ("other keys changed at once", history.blind_pairs(|a, b| key_of::<K, N>(a) != key_of::<K, N>(b))),
            ("a value changed by two at once", pairs(|a, b| matches!((a, b), (Value(..), Value(..))))),
            ("a value changed after an unseen set", pairs(|a, b| matches!((a, b), (Set(..), Value(..))))),
            ("a key set over an unseen change", pairs(|a, b| matches!((a, b), (Value(..), Set(..))))),
            ("a key deleted over an unseen change", pairs(|a, b| matches!((a, b), (Value(..), Delete(_))))),
            ("a key begun by two at once", pairs(|a, b| matches!((a, b), (ValueOr(..), ValueOr(..))))),
            ("a key begun anew after an unseen deletion", pairs(|a, b| matches!((a, b), (Delete(_), ValueOr(..))))),
            ("a key deleted over an unseen set", pairs(|a, b| matches!((a, b), (Set(..), Delete(_))))),
            ("a key set over an unseen deletion", pairs(|a, b| matches!((a, b), (Delete(_), Set(..))))),
            ("conflict: a change after an unseen deletion", too_late(|what| matches!(what, Value(..)))),
            ("conflict: a deletion after an unseen one", too_late(|what| matches!(what, Delete(_)))),
        ]
    }
}

/// Replays the changes of one key, as if there were no other.
fn alone<K: Key, N: Naive>(transitions: &[&Change<K, N>]) -> Option<N> {
    let mut value: Option<N> = None;
    for transition in transitions {
        match transition {
            MapTransition::Set(_, machine) => value = Some(N::of(machine)),
            MapTransition::Delete(_) => value = None,
            MapTransition::Value(_, inner) => {
                let changed = value.as_mut().map(|value| value.apply(inner));
                assert!(matches!(changed, Some(Ok(()))), "a change of nothing was accepted: {inner:?}");
            }
            MapTransition::ValueOr(_, beginning, inner) => {
                let changed = value.get_or_insert_with(|| N::of(beginning)).apply(inner);
                assert!(matches!(changed, Ok(())), "a change that conflicts was accepted: {inner:?}");
            }
        }
    }
    value
}

fn key_of<K: Key, N: Naive>(transition: &Change<K, N>) -> &K {
    let (MapTransition::Set(key, _)
    | MapTransition::Delete(key)
    | MapTransition::Value(key, _)
    | MapTransition::ValueOr(key, _, _)) = transition;
    key
}
