//! `Counter`.

use reapply_guest::{Counter, CounterConflict, CounterTransition};
use reapply_simulation::{History, Random};

use crate::naive::{Fresh, Naive};

/// The number, in a wider type than necessary.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NaiveCounter(i128);

/// The largest whole number that every JSON reader keeps exact.
const VALUE_MAX: i128 = (1 << 53) - 1;

impl Naive for NaiveCounter {
    type Machine = Counter;

    fn of(counter: &Counter) -> Self {
        Self(counter.value().into())
    }

    fn apply(&mut self, transition: &CounterTransition) -> Result<(), CounterConflict> {
        self.0 = match transition {
            CounterTransition::Add(amount) => self.0 + i128::from(*amount),
            CounterTransition::Reset => 0,
        };
        if self.0.abs() > VALUE_MAX { Err(CounterConflict::Overflow) } else { Ok(()) }
    }

    fn act(_client: usize, shown: &Counter, random: &mut Random) -> Option<CounterTransition> {
        Some(match random.below(20) {
            0 => shown.reset(),
            1 => shown.add(i32::MIN),
            2 => shown.add(i32::MAX),
            _ => shown.add(random.below(7) as i32 - 3),
        })
    }

    /// Two people add at once: both count. One adds and one resets: the later one wins.
    fn check(history: &History<CounterTransition>, models: &[Self]) -> Vec<(&'static str, u64)> {
        let since_reset =
            history.accepted.rsplit(|accepted| accepted.what == CounterTransition::Reset).next().unwrap_or_default();
        let sum: i128 = since_reset.iter().map(|accepted| amount(&accepted.what)).sum();
        assert_eq!(models.last().map(|model| model.0), Some(sum), "an addition was lost or counted twice");
        let both_add = |a: &CounterTransition, b: &CounterTransition| amount(a) != 0 && amount(b) != 0;
        vec![
            ("added to by two at once", history.blind_pairs(both_add)),
            (
                "reset over an unseen addition",
                history.blind_pairs(|a, b| amount(a) != 0 && *b == CounterTransition::Reset),
            ),
            (
                "added to after an unseen reset",
                history.blind_pairs(|a, b| *a == CounterTransition::Reset && amount(b) != 0),
            ),
        ]
    }
}

impl Fresh for NaiveCounter {
    fn fresh(random: &mut Random) -> Counter {
        let near_the_end = i64::from(random.percent(50)) * (Counter::MAX - random.below(4) as i64);
        let sign = if random.percent(50) { 1 } else { -1 };
        Counter::new(near_the_end * sign).expect("a counter holds this")
    }
}

fn amount(transition: &CounterTransition) -> i128 {
    match transition {
        CounterTransition::Add(amount) => (*amount).into(),
        CounterTransition::Reset => 0,
    }
}
