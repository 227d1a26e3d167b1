//! `Batch`.

use reapply_guest::{BatchConflict, BatchTransition};
use reapply_simulation::{History, Random};

use crate::naive::{ConflictOf, Naive, TransitionOf};

/// The machine inside.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NaiveBatch<N>(N);

impl<N: Naive> Naive for NaiveBatch<N> {
    type Machine = reapply_guest::Batch<N::Machine>;

    fn of(batch: &Self::Machine) -> Self {
        Self(N::of(batch.machine()))
    }

    fn agrees(&self, batch: &Self::Machine) -> bool {
        self.0.agrees(batch.machine())
    }

    fn apply(&mut self, transition: &TransitionOf<Self>) -> Result<(), ConflictOf<Self>> {
        let transitions = match transition {
            BatchTransition::One(inner) => return self.0.apply(inner).map_err(BatchConflict::One),
            BatchTransition::All(transitions) => transitions,
        };
        for (index, inner) in (0..).zip(transitions) {
            self.0.apply(inner).map_err(|conflict| BatchConflict::At { index, conflict })?;
        }
        Ok(())
    }

    fn act(client: usize, shown: &Self::Machine, random: &mut Random) -> Option<TransitionOf<Self>> {
        let draw = |random: &mut Random| N::act(client, shown.machine(), random);
        if random.percent(40) {
            return draw(random).map(BatchTransition::One);
        }
        let count = random.below(4);
        Some(BatchTransition::All((0..count).filter_map(|_| draw(random)).collect()))
    }

    /// Several transitions at once are the same as one by one with nothing in between; and a conflict leaves nothing of them.
    fn check(history: &History<TransitionOf<Self>>, models: &[Self]) -> Vec<(&'static str, u64)> {
        let mut one_by_one = N::default();
        for accepted in &history.accepted {
            let transitions = match &accepted.what {
                BatchTransition::One(inner) => std::slice::from_ref(inner),
                BatchTransition::All(transitions) => transitions,
            };
            for inner in transitions {
                assert!(one_by_one.apply(inner).is_ok(), "{inner:?} was accepted among others and conflicts alone");
            }
        }
        assert_eq!(models.last().expect("there is a first state").0, one_by_one);
        let several = |what: &TransitionOf<Self>| matches!(what, BatchTransition::All(all) if all.len() > 1);
        let second_conflicts = |what: &TransitionOf<Self>, words: &str| several(what) && !words.contains("\"index\":0");
        vec![
            ("several by two at once", history.blind_pairs(|a, b| several(a) && several(b))),
            (
                "conflict: one of several, after others that would have been applied",
                history.count_conflicts(second_conflicts),
            ),
        ]
    }
}
