//! `Option` of a machine.

use reapply_guest::{OptionConflict, OptionMachine, OptionTransition};
use reapply_simulation::{History, Random};

use crate::naive::{ConflictOf, Fresh, Naive, TransitionOf};

/// The machine, if there is one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NaiveOption<N>(Option<N>);

impl<N> Default for NaiveOption<N> {
    fn default() -> Self {
        Self(None)
    }
}

impl<N: Fresh> Naive for NaiveOption<N> {
    type Machine = Option<N::Machine>;

    fn of(option: &Self::Machine) -> Self {
        Self(option.as_ref().map(N::of))
    }

    fn apply(&mut self, transition: &TransitionOf<Self>) -> Result<(), ConflictOf<Self>> {
        match (transition, &mut self.0) {
            (OptionTransition::Set(machine), there) => *there = Some(N::of(machine)),
            (OptionTransition::Clear, there) => *there = None,
            (OptionTransition::Some(_), None) => return Err(OptionConflict::Nothing),
            (OptionTransition::Some(inner), Some(there)) => there.apply(inner).map_err(OptionConflict::Some)?,
        }
        Ok(())
    }

    fn act(client: usize, shown: &Self::Machine, random: &mut Random) -> Option<TransitionOf<Self>> {
        Some(match (shown, random.below(8)) {
            (_, 0 | 1) => shown.clear(),
            (None, _) | (Some(_), 2) => shown.set(N::fresh(random)),
            (Some(there), _) => OptionTransition::Some(N::act(client, there, random)?),
        })
    }

    /// In the end the last value that was set is there, with the changes since; or nothing, if it was cleared since.
    fn check(history: &History<TransitionOf<Self>>, models: &[Self]) -> Vec<(&'static str, u64)> {
        use OptionTransition::{Clear, Set, Some as Change};
        let asked: Vec<_> = history.accepted.iter().map(|accepted| &accepted.what).collect();
        let since = asked.iter().rposition(|what| !matches!(what, Change(_)));
        let mut expected = since.and_then(|at| if let Set(machine) = asked[at] { Some(N::of(machine)) } else { None });
        for what in &asked[since.map_or(0, |at| at + 1)..] {
            if let Change(inner) = what {
                let changed = expected.as_mut().map(|there| there.apply(inner));
                assert!(matches!(changed, Some(Ok(()))), "a change of nothing was accepted: {inner:?}");
            }
        }
        assert_eq!(models.last().expect("there is a first state").0, expected);
        let pairs = |is_meant: fn(&TransitionOf<Self>, &TransitionOf<Self>) -> bool| history.blind_pairs(is_meant);
        vec![
            ("set by two at once", pairs(|a, b| matches!((a, b), (Set(_), Set(_))))),
            ("changed by two at once", pairs(|a, b| matches!((a, b), (Change(_), Change(_))))),
            ("changed after an unseen set", pairs(|a, b| matches!((a, b), (Set(_), Change(_))))),
            ("set over an unseen change", pairs(|a, b| matches!((a, b), (Change(_), Set(_))))),
            ("cleared over an unseen change", pairs(|a, b| matches!((a, b), (Change(_), Clear)))),
            ("set after an unseen clearing", pairs(|a, b| matches!((a, b), (Clear, Set(_))))),
            ("cleared by two at once", pairs(|a, b| matches!((a, b), (Clear, Clear)))),
            (
                "conflict: a change after an unseen clearing",
                history.count_conflicts(|what, words| matches!(what, Change(_)) && words.contains("Nothing")),
            ),
        ]
    }
}
