//! `Set`.

use std::collections::BTreeSet;

use reapply_guest::{Set, SetConflict, SetTransition};
use reapply_simulation::{History, Random};

use crate::naive::Naive;

/// The members.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NaiveSet(BTreeSet<u8>);

impl Naive for NaiveSet {
    type Machine = Set<u8>;

    fn of(set: &Set<u8>) -> Self {
        Self(set.iter().copied().collect())
    }

    fn agrees(&self, set: &Set<u8>) -> bool {
        Self::of(set) == *self
            && set.len() == self.0.len()
            && (0..8).all(|key| set.contains(&key) == self.0.contains(&key))
    }

    fn apply(&mut self, transition: &SetTransition<u8>) -> Result<(), SetConflict> {
        match transition {
            SetTransition::Insert(key) => self.0.insert(*key),
            SetTransition::Delete(key) => self.0.remove(key),
        };
        Ok(())
    }

    fn act(_client: usize, shown: &Set<u8>, random: &mut Random) -> Option<SetTransition<u8>> {
        let key = random.below(8) as u8;
        Some(if random.percent(60) { shown.insert(key) } else { shown.delete(key) })
    }

    /// Two people insert or delete the same key at once: it happens once. One inserts what another deletes: the later one wins.
    fn check(history: &History<SetTransition<u8>>, models: &[Self]) -> Vec<(&'static str, u64)> {
        let end = models.last().expect("there is a first state");
        for key in 0..8 {
            let last = history.accepted.iter().rev().find(|accepted| key_of(&accepted.what) == key);
            let is_in = last.is_some_and(|last| matches!(last.what, SetTransition::Insert(_)));
            assert_eq!(end.0.contains(&key), is_in, "the last one who said so of {key} does not stand");
        }
        use SetTransition::{Delete, Insert};
        let same = |a: &SetTransition<u8>, b: &SetTransition<u8>| key_of(a) == key_of(b);
        let inserts = |change: &SetTransition<u8>| matches!(change, Insert(_));
        let deletes = |change: &SetTransition<u8>| matches!(change, Delete(_));
        vec![
            ("one key inserted by two at once", history.blind_pairs(|a, b| same(a, b) && inserts(a) && inserts(b))),
            ("one key deleted by two at once", history.blind_pairs(|a, b| same(a, b) && deletes(a) && deletes(b))),
            ("a key deleted over an unseen insert", history.blind_pairs(|a, b| same(a, b) && inserts(a) && deletes(b))),
            (
                "a key inserted over an unseen deletion",
                history.blind_pairs(|a, b| same(a, b) && deletes(a) && inserts(b)),
            ),
            ("other keys changed at once", history.blind_pairs(|a, b| !same(a, b))),
        ]
    }
}

fn key_of(transition: &SetTransition<u8>) -> u8 {
    let (SetTransition::Insert(key) | SetTransition::Delete(key)) = transition;
    *key
}
