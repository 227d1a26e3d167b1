//! Sets.

use std::collections::BTreeSet;

use proptest::prelude::*;
use reapply_guest::{Id, Set, SetTransition, StateMachine, contract};

use crate::common::{
    ABSURD_LENGTH, after, check_garbage, check_snapshot, garbage, id, restore, schema, snapshot, transition_json, view,
};

type Numbers = Set<u32>;

fn numbers(keys: &[u32]) -> Numbers {
    keys.iter().copied().collect()
}

#[test]
fn two_people_insert_one_key() {
    let set = numbers(&[1]);
    assert_eq!(after(&set, &set.insert(2), &set.insert(2)), Ok(numbers(&[1, 2])));
}

#[test]
fn two_people_delete_one_key() {
    let set = numbers(&[1, 2]);
    assert_eq!(after(&set, &set.delete(2), &set.delete(2)), Ok(numbers(&[1])));
}

#[test]
fn one_inserts_a_key_and_another_deletes_it() {
    for set in [numbers(&[]), numbers(&[1])] {
        assert_eq!(after(&set, &set.insert(1), &set.delete(1)), Ok(numbers(&[])));
        assert_eq!(after(&set, &set.delete(1), &set.insert(1)), Ok(numbers(&[1])));
    }
}

#[test]
fn two_people_change_different_keys() {
    let set = numbers(&[1, 2]);
    for [first, second] in [[set.insert(3), set.delete(1)], [set.delete(1), set.insert(3)]] {
        assert_eq!(after(&set, &first, &second), Ok(numbers(&[2, 3])));
    }
    assert_eq!(after(&set, &set.insert(3), &set.insert(4)), Ok(numbers(&[1, 2, 3, 4])));
    assert_eq!(after(&set, &set.delete(2), &set.delete(1)), Ok(numbers(&[])));
}

#[test]
fn the_json_is_a_sorted_array() {
    assert_eq!(view(&numbers(&[10, 9, 1])), "[1,9,10]");
    assert_eq!(view(&Set::<u64>::from_iter([10, 9])), r#"["9","10"]"#);
    assert_eq!(view(&Set::<Id>::from_iter([id(1)])), r#"["00000000-0000-0000-0000-000000000001"]"#);
    assert_eq!(transition_json::<Numbers>(&SetTransition::Insert(1)), r#"{"Insert":1}"#);
    assert_eq!(transition_json::<Numbers>(&SetTransition::Delete(1)), r#"{"Delete":1}"#);
    let schema = schema::<Numbers>("view");
    assert_eq!((&schema["type"], &schema["uniqueItems"]), (&"array".into(), &true.into()), "{schema}");
}

#[test]
fn people_may_write_the_keys_in_any_order_but_not_twice() {
    let read = serde_json::from_str::<Numbers>;
    assert_eq!(read("[3,1,2]").unwrap(), numbers(&[1, 2, 3]));
    assert!(read("[1,2,1]").unwrap_err().to_string().contains("the key 1 comes twice"));
    assert!(read(r#"{"1":1}"#).unwrap_err().to_string().contains("expected an array without doubles"));
}

#[test]
fn malformed_snapshots_are_refused() {
    assert_eq!(restore::<Numbers>(&[2, 1, 2]).unwrap(), numbers(&[1, 2]));
    for (what, bytes) in
        [("double", &[2, 1, 1][..]), ("unsorted", &[2, 2, 1]), ("short", &[2, 1]), ("long", &[1, 1, 2])]
    {
        assert!(restore::<Numbers>(bytes).is_err(), "{what}");
    }
    assert!(restore::<Numbers>(&ABSURD_LENGTH).is_err());
    assert!(restore::<Numbers>(&[&ABSURD_LENGTH[..], &[1, 2, 3]].concat()).is_err());
}

proptest! {
    #[test]
    fn behaves_like_a_btree_set(steps in prop::collection::vec((any::<bool>(), 0..40u32), 0..200)) {
        let mut state = Numbers::default();
        let mut model = BTreeSet::new();
        for (is_insert, key) in steps {
            let before = model.clone();
            let transition = if is_insert { model.insert(key); state.insert(key) } else { model.remove(&key); state.delete(key) };
            transition_json::<Numbers>(&transition);
            let next = state.apply(&transition).unwrap();
            prop_assert!(state.iter().eq(&before), "the old state changed");
            prop_assert!(next.iter().eq(&model));
            prop_assert_eq!(next.contains(&key), is_insert);
            prop_assert_eq!((next.len(), next.is_empty()), (model.len(), model.is_empty()));
            state = next;
        }
        check_snapshot(&state);
        prop_assert_eq!(snapshot(&state), snapshot(&Numbers::from_iter(model.iter().rev().copied())));
        prop_assert_eq!(snapshot(&state), postcard::to_allocvec(&model).unwrap());
        prop_assert_eq!(view(&state), serde_json::to_string(&model).unwrap());
    }

    #[test]
    fn garbage_is_refused(bytes in garbage()) {
        check_garbage::<Numbers>(&bytes);
        check_garbage::<Set<String>>(&bytes);
        let _ = contract::decode::<Set<String>>(&bytes);
    }
}
