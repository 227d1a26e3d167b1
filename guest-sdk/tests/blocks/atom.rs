//! Atoms and constants.

use proptest::prelude::*;
use reapply_guest::{Atom, AtomRc, Constant, Never, StateMachine, contract};

use crate::common::{after, check_garbage, check_snapshot, garbage, restore, schema, snapshot, transition_json, view};

#[test]
fn two_people_replace_a_value() {
    let atom = Atom::from(1);
    assert_eq!(after(&atom, &atom.replace(2), &atom.replace(3)), Ok(Atom::from(3)));
    assert_eq!(after(&atom, &atom.replace(3), &atom.replace(2)), Ok(Atom::from(2)));
    let atom = AtomRc::from(1);
    assert_eq!(after(&atom, &atom.replace(2), &atom.replace(3)), Ok(AtomRc::from(3)));
    assert_eq!(after(&atom, &atom.replace(3), &atom.replace(2)), Ok(AtomRc::from(2)));
}

#[test]
fn the_value_before_stays_in_the_state_before() {
    let atom = Atom::from("a".to_owned());
    let Ok(changed) = atom.apply(&atom.replace("b".to_owned()));
    assert_eq!((atom.value().as_str(), changed.value().as_str()), ("a", "b"));
}

#[test]
fn a_shared_value_is_not_copied() {
    let large = AtomRc::from(vec![7; 1_000]);
    let change = large.replace(vec![8; 1_000]);
    let Ok(changed) = large.apply(&change);
    let Ok(again) = changed.apply(&change);
    assert!(std::ptr::eq(changed.value(), again.value()));
    assert!(std::ptr::eq(large.value(), large.clone().value()));
}

#[test]
fn the_json_is_the_value() {
    let label = Atom::from("milk".to_owned());
    assert_eq!(view(&label), r#""milk""#);
    assert_eq!(transition_json::<Atom<String>>(&label.replace("bread".to_owned())), r#"{"Replace":"bread"}"#);
    let shared = AtomRc::from("milk".to_owned());
    assert_eq!(view(&shared), r#""milk""#);
    assert_eq!(transition_json::<AtomRc<String>>(&shared.replace("bread".to_owned())), r#"{"Replace":"bread"}"#);
    assert_eq!(view(&Constant::from(5)), "5");
    assert_eq!(view(&Atom::from(5u64)), r#""5""#);

    for schema in [schema::<Atom<String>>("view"), schema::<AtomRc<String>>("view"), schema::<Constant<String>>("view")]
    {
        assert_eq!(schema["type"], "string", "{schema}");
    }
}

#[test]
fn the_snapshot_is_the_value() {
    let value = "milk".to_owned();
    let bytes = postcard::to_allocvec(&value).unwrap();
    assert_eq!(snapshot(&Atom::from(value.clone())), bytes);
    assert_eq!(snapshot(&AtomRc::from(value.clone())), bytes);
    assert_eq!(snapshot(&Constant::from(value.clone())), bytes);
    check_snapshot(&Atom::from(value.clone()));
    check_snapshot(&AtomRc::from(value.clone()));
    check_snapshot(&Constant::from(value));
    assert!(restore::<Atom<bool>>(&[2]).is_err());
}

#[test]
fn nobody_changes_a_constant() {
    let error = contract::encode::<Constant<u8>>(r#"{"Replace":1}"#).unwrap_err();
    assert!(error.contains("no transition of this machine"), "{error}");
    assert!(contract::decode::<Constant<u8>>(&[0]).is_err());
    assert!(contract::decode::<Constant<u8>>(&[]).is_err());
    let as_function: fn(&Constant<u8>, &Never) -> Result<Constant<u8>, Never> = StateMachine::apply;
    let _ = as_function;
}

proptest! {
    #[test]
    fn garbage_is_refused(bytes in garbage()) {
        check_garbage::<Atom<Vec<String>>>(&bytes);
        check_garbage::<AtomRc<Vec<String>>>(&bytes);
        check_garbage::<Constant<Vec<String>>>(&bytes);
    }
}
