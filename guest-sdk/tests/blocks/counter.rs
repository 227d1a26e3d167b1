//! Counters.

use proptest::prelude::*;
use reapply_guest::{Counter, CounterConflict, CounterTransition, StateMachine, contract};

use crate::common::{after, check_snapshot, restore, schema, snapshot, transition_json, view};

fn counter(value: i64) -> Counter {
    Counter::new(value).unwrap()
}

#[test]
fn two_people_add() {
    let start = counter(10);
    for [first, second] in [[2, -5], [-5, 2]] {
        assert_eq!(after(&start, &start.add(first), &start.add(second)), Ok(counter(7)));
    }
}

#[test]
fn one_adds_and_another_resets() {
    let start = counter(10);
    assert_eq!(after(&start, &start.add(2), &start.reset()), Ok(counter(0)));
    assert_eq!(after(&start, &start.reset(), &start.add(2)), Ok(counter(2)));
}

#[test]
fn the_bounds_are_kept() {
    assert_eq!(counter(Counter::MAX).apply(&CounterTransition::Add(1)), Err(CounterConflict::Overflow));
    assert_eq!(counter(Counter::MIN).apply(&CounterTransition::Add(-1)), Err(CounterConflict::Overflow));
    assert_eq!(counter(Counter::MIN).apply(&CounterTransition::Add(i32::MIN)), Err(CounterConflict::Overflow));
    assert_eq!(counter(Counter::MAX - 1).apply(&CounterTransition::Add(1)), Ok(counter(Counter::MAX)));
    assert_eq!(counter(Counter::MAX).apply(&CounterTransition::Reset), Ok(counter(0)));
    for value in [Counter::MAX + 1, Counter::MIN - 1, i64::MAX, i64::MIN] {
        assert_eq!(Counter::new(value), None);
        assert!(restore::<Counter>(&postcard::to_allocvec(&value).unwrap()).is_err(), "{value}");
    }
}

#[test]
fn the_json_is_a_number() {
    assert_eq!(view(&counter(-5)), "-5");
    assert_eq!(view(&counter(Counter::MAX)), "9007199254740991");
    assert_eq!(transition_json::<Counter>(&CounterTransition::Add(-5)), r#"{"Add":-5}"#);
    assert_eq!(transition_json::<Counter>(&CounterTransition::Reset), r#""Reset""#);
    assert!(contract::encode::<Counter>(r#"{"Add":2147483648}"#).is_err());

    let schema = schema::<Counter>("view");
    let bounds = (&schema["type"], schema["minimum"].as_i64(), schema["maximum"].as_i64());
    assert_eq!(bounds, (&"integer".into(), Some(Counter::MIN), Some(Counter::MAX)), "{schema}");
}

#[test]
fn only_whole_numbers_within_the_bounds_are_read() {
    let read = serde_json::from_str::<Counter>;
    for (json, value) in
        [("5", 5), ("-5", -5), ("5.0", 5), ("-9007199254740991", Counter::MIN), ("9e15", 9 * 10i64.pow(15))]
    {
        assert_eq!(read(json).unwrap(), counter(value), "{json}");
    }
    for json in ["0.5", "9007199254740992", "-9007199254740992", "18446744073709551615", "1e300", r#""5""#, "null"] {
        assert!(read(json).is_err(), "{json}");
    }
}

proptest! {
    #[test]
    fn counts_as_a_number_does(changes in prop::collection::vec(prop::option::weighted(0.9, any::<i32>()), 0..100)) {
        let mut state = Counter::default();
        let mut model = 0;
        for change in changes {
            let transition = change.map_or(CounterTransition::Reset, CounterTransition::Add);
            model = change.map_or(0, |number| model + i64::from(number));
            state = state.apply(&transition).unwrap();
            prop_assert_eq!(state.value(), model);
        }
        check_snapshot(&state);
        prop_assert_eq!(snapshot(&state), postcard::to_allocvec(&model).unwrap());
    }
}
