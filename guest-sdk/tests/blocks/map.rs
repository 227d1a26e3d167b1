//! Maps.

use std::collections::BTreeMap;

use proptest::prelude::*;
use reapply_guest::{
    Atom, Counter, CounterConflict, CounterTransition, Id, Key, Map, MapConflict, MapTransition, StateMachine, contract,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{
    ABSURD_LENGTH, after, check_garbage, check_snapshot, garbage, id, restore, schema, snapshot, transition_json, view,
};

type Scores = Map<String, Counter>;

fn scores(entries: &[(&str, i32)]) -> Scores {
    entries.iter().map(|(key, score)| (key.to_string(), Counter::from(*score))).collect()
}

fn set(key: &str, score: i32) -> MapTransition<String, Counter> {
    Scores::default().set(key.to_owned(), score.into())
}

fn delete(key: &str) -> MapTransition<String, Counter> {
    Scores::default().delete(key.to_owned())
}

fn add(key: &str, number: i32) -> MapTransition<String, Counter> {
    MapTransition::Value(key.to_owned(), CounterTransition::Add(number))
}

fn no_such_key(key: &str) -> MapConflict<String, Counter> {
    MapConflict::NoSuchKey(key.to_owned())
}

#[test]
fn two_people_set_one_key() {
    let map = scores(&[("ada", 1)]);
    assert_eq!(after(&map, &set("ada", 2), &set("ada", 3)), Ok(scores(&[("ada", 3)])));
    assert_eq!(after(&map, &set("ada", 3), &set("ada", 2)), Ok(scores(&[("ada", 2)])));
}

#[test]
fn two_people_set_different_keys() {
    let map = scores(&[("ada", 1)]);
    let both = scores(&[("ada", 1), ("bob", 2), ("cay", 3)]);
    assert_eq!(after(&map, &set("bob", 2), &set("cay", 3)).as_ref(), Ok(&both));
    assert_eq!(after(&map, &set("cay", 3), &set("bob", 2)), Ok(both));
}

#[test]
fn two_people_change_one_value() {
    let map = scores(&[("ada", 1)]);
    assert_eq!(after(&map, &add("ada", 2), &add("ada", 3)), Ok(scores(&[("ada", 6)])));
}

#[test]
fn one_sets_a_key_and_another_changes_its_value() {
    let map = scores(&[("ada", 1)]);
    assert_eq!(after(&map, &set("ada", 10), &add("ada", 2)), Ok(scores(&[("ada", 12)])));
    assert_eq!(after(&map, &add("ada", 2), &set("ada", 10)), Ok(scores(&[("ada", 10)])));
}

#[test]
fn one_deletes_a_key_and_another_changes_its_value() {
    let map = scores(&[("ada", 1)]);
    assert_eq!(after(&map, &delete("ada"), &add("ada", 2)), Err(no_such_key("ada")));
    assert_eq!(after(&map, &add("ada", 2), &delete("ada")), Ok(scores(&[])));
}

#[test]
fn one_deletes_a_key_and_another_sets_it() {
    let map = scores(&[("ada", 1)]);
    assert_eq!(after(&map, &delete("ada"), &set("ada", 2)), Ok(scores(&[("ada", 2)])));
    assert_eq!(after(&map, &set("ada", 2), &delete("ada")), Ok(scores(&[])));
}

#[test]
fn two_people_delete_one_key() {
    let map = scores(&[("ada", 1), ("bob", 2)]);
    assert_eq!(map.apply(&delete("ada")), Ok(scores(&[("bob", 2)])));
    assert_eq!(after(&map, &delete("ada"), &delete("ada")), Err(no_such_key("ada")));
}

#[test]
fn a_value_has_conflicts_of_its_own() {
    let full = Scores::from_iter([("ada".to_owned(), Counter::new(Counter::MAX).unwrap())]);
    let conflict = full.apply(&add("ada", 1)).unwrap_err();
    assert_eq!(conflict, MapConflict::Value("ada".to_owned(), CounterConflict::Overflow));
    assert_eq!(serde_json::to_string(&conflict).unwrap(), r#"{"Value":["ada","Overflow"]}"#);
    assert_eq!(serde_json::to_string(&no_such_key("bob")).unwrap(), r#"{"NoSuchKey":"bob"}"#);
}

#[test]
fn a_transition_is_made_from_the_value_at_a_key() {
    let map = scores(&[("ada", 7)]);
    let halve = |score: &Counter| score.add(-(score.value() as i32) / 2);
    assert_eq!(map.map_value("ada", halve), Some(add("ada", -3)));
    assert_eq!(map.map_value("bob", halve), None);
}

#[test]
fn maps_nest() {
    let boards: Map<u8, Scores> = Map::from_iter([(1, scores(&[("ada", 1)]))]);
    let point = boards.map_value(&1, |board| board.map_value("ada", |score| score.add(1)).unwrap()).unwrap();
    let boards = boards.apply(&point).unwrap();
    assert_eq!(view(&boards), r#"{"1":{"ada":2}}"#);
    assert_eq!(transition_json::<Map<u8, Scores>>(&point), r#"{"Value":[1,{"Value":["ada",{"Add":1}]}]}"#);
    assert_eq!(
        transition_json::<Map<u8, Scores>>(&boards.set(2, scores(&[("b", 1), ("a", 0)]))),
        r#"{"Set":[2,{"a":0,"b":1}]}"#
    );
    check_snapshot(&boards);
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
struct Name(String);

impl Key for Name {}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
enum Side {
    White,
    Black,
}

impl Key for Side {}

/// Checks the JSON of a map with these keys, which are in order, and that it can be read again.
fn check_keys<K: Key>(keys: [K; 2], names: [&str; 2]) {
    let map: Map<K, Atom<bool>> = keys.iter().cloned().map(|key| (key, Atom::from(true))).collect();
    let json = format!(r#"{{"{}":true,"{}":true}}"#, names[0], names[1]);
    assert_eq!(view(&map), json);
    check_snapshot(&map);
    let [first, _] = keys;
    let transition = MapTransition::Set(first, map);
    let transition = transition_json::<Map<K, Map<K, Atom<bool>>>>(&transition);
    assert!(transition.ends_with(&format!("{json}]}}")), "{transition}");
}

#[test]
fn a_key_is_a_property() {
    check_keys(["a".to_owned(), "b".to_owned()], ["a", "b"]);
    check_keys(['"', 'b'], [r#"\""#, "b"]);
    check_keys([id(1), id(2)], ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"]);
    check_keys([9u8, 10], ["9", "10"]);
    check_keys([9u64, u64::MAX], ["9", "18446744073709551615"]);
    check_keys([i64::MIN, -1], ["-9223372036854775808", "-1"]);
    check_keys([i128::MIN, i128::MAX], [&i128::MIN.to_string(), &i128::MAX.to_string()]);
    check_keys([Name("a".to_owned()), Name("b".to_owned())], ["a", "b"]);
    check_keys([Side::White, Side::Black], ["White", "Black"]);
}

#[test]
fn the_schema_is_an_objects() {
    let by_name = schema::<Scores>("view");
    assert_eq!(
        (&by_name["type"], &by_name["additionalProperties"]["$ref"]),
        (&"object".into(), &"#/$defs/Counter".into())
    );
    assert_eq!(schema::<Map<Id, Counter>>("view")["additionalProperties"]["$ref"], "#/$defs/Counter");
    let by_number = schema::<Map<i64, Counter>>("view");
    assert_eq!(by_number["patternProperties"][r"^-?\d+$"]["$ref"], "#/$defs/Counter");
}

#[test]
fn the_schema_says_what_keys_are_like() {
    let by_id = schema::<Map<Id, Counter>>("view");
    assert_eq!(by_id["propertyNames"], serde_json::json!({ "type": "string", "format": "uuid" }));
    assert_eq!(schema::<Map<char, Counter>>("view")["propertyNames"]["maxLength"], 1);
    assert_eq!(schema::<Scores>("view").get("propertyNames"), None);
    assert_eq!(schema::<Map<i64, Counter>>("view").get("propertyNames"), None);
}

#[test]
fn people_may_write_the_keys_in_any_order_but_not_twice() {
    let read = serde_json::from_str::<Scores>;
    assert_eq!(read(r#"{"b":2,"a":1}"#).unwrap(), scores(&[("a", 1), ("b", 2)]));
    assert!(read(r#"{"b":2,"a":1,"b":3}"#).unwrap_err().to_string().contains(r#"the key "b" comes twice"#));
    assert!(read("[1]").unwrap_err().to_string().contains("expected a map"));
}

#[test]
fn malformed_snapshots_are_refused() {
    type Small = Map<u8, Atom<u8>>;
    assert_eq!(restore::<Small>(&[2, 1, 7, 2, 8]).unwrap().len(), 2);
    for (what, bytes) in [
        ("double", &[2, 1, 7, 1, 8][..]),
        ("unsorted", &[2, 2, 7, 1, 8]),
        ("short", &[2, 1, 7, 2]),
        ("long", &[1, 1, 7, 2, 8]),
    ] {
        assert!(restore::<Small>(bytes).is_err(), "{what}");
    }
    assert!(restore::<Small>(&ABSURD_LENGTH).is_err());
    assert!(restore::<Small>(&[&ABSURD_LENGTH[..], &[1, 7, 2, 8]].concat()).is_err());
    let transition = [&[0, 1][..], &ABSURD_LENGTH, &[1, 7]].concat();
    assert!(contract::decode::<Map<u8, Small>>(&transition).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Set(String, i32),
    Delete(String),
    Add(String, i32),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || "[a-e]{1,2}";
    prop_oneof![
        3 => (key(), any::<i32>()).prop_map(|(key, score)| Step::Set(key, score)),
        2 => key().prop_map(Step::Delete),
        3 => (key(), any::<i32>()).prop_map(|(key, number)| Step::Add(key, number)),
    ]
}

/// Takes a step with a `BTreeMap`; returns false if the key does not exist.
fn take_step(model: &mut BTreeMap<String, i64>, step: &Step) -> bool {
    match step {
        Step::Set(key, score) => model.insert(key.clone(), (*score).into()).is_some() || model.contains_key(key),
        Step::Delete(key) => model.remove(key).is_some(),
        Step::Add(key, number) => model.get_mut(key).map(|score| *score += i64::from(*number)).is_some(),
    }
}

proptest! {
    #[test]
    fn behaves_like_a_btree_map(steps in prop::collection::vec(step(), 0..200)) {
        let mut state = Scores::default();
        let mut model: BTreeMap<String, i64> = BTreeMap::new();
        let entries = |state: &Scores| state.iter().map(|(key, score)| (key.clone(), score.value())).collect::<Vec<_>>();
        for step in steps {
            let before: Vec<_> = model.clone().into_iter().collect();
            let (key, transition) = match &step {
                Step::Set(key, score) => (key, set(key, *score)),
                Step::Delete(key) => (key, delete(key)),
                Step::Add(key, number) => (key, add(key, *number)),
            };
            transition_json::<Scores>(&transition);
            let is_there = take_step(&mut model, &step);
            let applied = state.apply(&transition);
            prop_assert_eq!(entries(&state), before, "the old state changed");
            match applied {
                Ok(next) => { prop_assert!(is_there); state = next }
                Err(conflict) => { prop_assert!(!is_there); prop_assert_eq!(conflict, no_such_key(key)) }
            }
            prop_assert_eq!(state.get(key).map(|score| score.value()), model.get(key).copied());
            prop_assert_eq!(state.contains_key(key), model.contains_key(key));
            prop_assert_eq!((state.len(), state.is_empty()), (model.len(), model.is_empty()));
        }
        prop_assert_eq!(entries(&state), model.clone().into_iter().collect::<Vec<_>>());
        check_snapshot(&state);
        let anew = model.iter().rev().map(|(key, score)| (key.clone(), Counter::new(*score).unwrap())).collect::<Scores>();
        prop_assert_eq!(snapshot(&state), snapshot(&anew));
        prop_assert_eq!(snapshot(&state), postcard::to_allocvec(&model).unwrap());
        prop_assert_eq!(view(&state), serde_json::to_string(&model).unwrap());
    }

    #[test]
    fn garbage_is_refused(bytes in garbage()) {
        check_garbage::<Scores>(&bytes);
        check_garbage::<Map<u8, Map<u8, Counter>>>(&bytes);
        let _ = contract::decode::<Map<u8, Scores>>(&bytes);
    }
}
