//! `Atom`, `AtomRc` and `Constant`.

use reapply_guest::{Atom, AtomRc, AtomTransition, Constant, Never};
use reapply_simulation::{Accepted, History, Random};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::naive::{Fresh, Naive};

/// Plain data to make histories with.
pub(crate) trait Sample:
    Clone + std::fmt::Debug + Default + PartialEq + Serialize + DeserializeOwned + JsonSchema + 'static
{
    fn draw(random: &mut Random) -> Self;
}

impl Sample for u8 {
    fn draw(random: &mut Random) -> Self {
        random.below(256) as u8
    }
}

impl Sample for bool {
    fn draw(random: &mut Random) -> Self {
        random.percent(50)
    }
}

impl Sample for String {
    fn draw(random: &mut Random) -> Self {
        ["", "a", "b", "ü", "\u{1f469}\u{200d}\u{1f680}", "\" \\ \n"][random.index(6)].to_owned()
    }
}

/// The name of the relevant case.
const BLIND: &str = "replaced by one who had not seen what they replaced";

/// The value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NaiveAtom<T>(pub(crate) T);

impl<T: Sample> Naive for NaiveAtom<T> {
    type Machine = Atom<T>;

    fn of(atom: &Atom<T>) -> Self {
        Self(atom.value().clone())
    }

    fn apply(&mut self, AtomTransition::Replace(value): &AtomTransition<T>) -> Result<(), Never> {
        self.0 = value.clone();
        Ok(())
    }

    fn act(_client: usize, shown: &Atom<T>, random: &mut Random) -> Option<AtomTransition<T>> {
        Some(shown.replace(T::draw(random)))
    }

    /// Two people replace at once: the later value stays.
    fn check(history: &History<AtomTransition<T>>, models: &[Self]) -> Vec<(&'static str, u64)> {
        let last = history.accepted.last().map(|Accepted { what: AtomTransition::Replace(value), .. }| value.clone());
        check_last(last, models.last().map(|model| &model.0));
        vec![(BLIND, history.blind_pairs(|_, _| true))]
    }
}

impl<T: Sample> Fresh for NaiveAtom<T> {
    fn fresh(random: &mut Random) -> Atom<T> {
        T::draw(random).into()
    }
}

/// The value, if it is shared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NaiveAtomRc<T>(T);

impl<T: Sample> Naive for NaiveAtomRc<T> {
    type Machine = AtomRc<T>;

    fn of(atom: &AtomRc<T>) -> Self {
        Self(atom.value().clone())
    }

    fn apply(&mut self, AtomTransition::Replace(value): &AtomTransition<AtomRc<T>>) -> Result<(), Never> {
        self.0 = value.value().clone();
        Ok(())
    }

    fn act(_client: usize, shown: &AtomRc<T>, random: &mut Random) -> Option<AtomTransition<AtomRc<T>>> {
        Some(shown.replace(T::draw(random)))
    }

    fn check(history: &History<AtomTransition<AtomRc<T>>>, models: &[Self]) -> Vec<(&'static str, u64)> {
        let last =
            history.accepted.last().map(|Accepted { what: AtomTransition::Replace(value), .. }| value.value().clone());
        check_last(last, models.last().map(|model| &model.0));
        vec![(BLIND, history.blind_pairs(|_, _| true))]
    }
}

/// A value that never changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NaiveConstant<T>(T);

impl<T: Sample> Naive for NaiveConstant<T> {
    type Machine = Constant<T>;

    fn of(constant: &Constant<T>) -> Self {
        Self(constant.value().clone())
    }

    fn apply(&mut self, transition: &Never) -> Result<(), Never> {
        match *transition {}
    }

    fn act(_client: usize, _shown: &Constant<T>, _random: &mut Random) -> Option<Never> {
        None
    }

    fn check(history: &History<Never>, models: &[Self]) -> Vec<(&'static str, u64)> {
        assert!(
            history.accepted.is_empty() && models.iter().all(|model| *model == Self::default()),
            "a constant has changed"
        );
        Vec::new()
    }
}

fn check_last<T: Sample>(last: Option<T>, end: Option<&T>) {
    assert_eq!(end, Some(&last.unwrap_or_default()), "the last one does not stand");
}
