//! Enums of machines: one at a time.

use reapply_guest::{Atom, AtomTransition, Counter, CounterConflict, CounterTransition, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub(crate) enum Answer {
    /// In words.
    Words(Atom<String>),
    Number(Counter),
}

/// An enum with one variant, which can never be another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
enum Single {
    Only(Counter),
}

const ADD: AnswerTransition = AnswerTransition::Number(CounterTransition::Add(1));

fn words(text: &str) -> Answer {
    Answer::Words(text.to_owned().into())
}

#[test]
fn a_transition_goes_to_its_variant() {
    let number = Answer::Number(Counter::default()).apply(&ADD).unwrap();
    assert_eq!(number, Answer::Number(Counter::new(1).unwrap()));

    let replace = AnswerTransition::Words(AtomTransition::Replace("two".to_owned()));
    assert_eq!(words("one").apply(&replace), Ok(words("two")));
}

#[test]
fn become_replaces_whatever_there_is() {
    let to_words = AnswerTransition::Become(words("many"));
    assert_eq!(Answer::Number(Counter::default()).apply(&to_words), Ok(words("many")));
    assert_eq!(words("few").apply(&to_words), Ok(words("many")));
}

#[test]
fn who_comes_too_late_is_told_what_it_is_by_now() {
    let conflict = words("many").apply(&ADD).unwrap_err();
    assert_eq!(conflict, AnswerConflict::IsNot { wanted: AnswerVariant::Number, is: AnswerVariant::Words });
    assert_eq!(format!("{conflict:?}"), "IsNot { wanted: Number, is: Words }");
    assert_eq!(conflict, conflict.clone());
    assert_ne!(conflict, AnswerConflict::IsNot { wanted: AnswerVariant::Words, is: AnswerVariant::Words });
}

#[test]
fn a_conflict_of_the_variant_is_passed_on() {
    let full = Answer::Number(Counter::new(Counter::MAX).unwrap());
    assert!(matches!(full.apply(&ADD), Err(AnswerConflict::Number(CounterConflict::Overflow))));
}

#[test]
fn a_variant_tells_itself() {
    assert_eq!(AnswerVariant::from(&words("many")), AnswerVariant::Words);
    assert_eq!(SingleVariant::from(&Single::Only(Counter::default())), SingleVariant::Only);
}

#[test]
fn one_variant_is_enough() {
    let single = Single::Only(Counter::default());
    let next = single.apply(&SingleTransition::Only(CounterTransition::Add(3))).unwrap();
    assert_eq!(next, Single::Only(Counter::new(3).unwrap()));
    assert_eq!(next.apply(&SingleTransition::Become(single.clone())), Ok(single));
}
