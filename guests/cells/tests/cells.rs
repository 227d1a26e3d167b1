//! The cells, through the contract.

use cells::{CELLS_MAX, Cells};
use reapply_guest::contract::{self, Event, Input, Rejection, Submission};

fn set(state: &Cells, id: u32, value: u64) -> Result<Cells, Rejection> {
    let transition = contract::encode::<Cells>(&format!(r#"{{"Set":{{"id":{id},"value":{value}}}}}"#)).unwrap();
    let input = Input::Transition(Submission { author: "ada".to_owned(), transition });
    contract::apply(state, Event { seq: 1, time: 0, entropy: 0, input })
}

#[test]
fn a_cell_is_set_and_the_state_before_stays_as_it_was() {
    let before: Cells = contract::create("").unwrap();
    let after = set(&before, 7, u64::MAX).unwrap();
    assert_eq!((before.value(7), after.value(7)), (None, Some(u64::MAX)));
    assert_eq!(contract::view(&after).unwrap(), r#"{"entries":1}"#);
}

#[test]
fn ids_and_entries_have_a_limit() {
    let state: Cells = contract::create("").unwrap();
    assert!(set(&state, CELLS_MAX - 1, 1).is_ok());
    let conflict = Rejection::Conflict(r#"{"NoSuchCell":{"limit":1000000}}"#.to_owned());
    assert_eq!(set(&state, CELLS_MAX, 1), Err(conflict));
    let refused = contract::create::<Cells>(r#"{"entries":1000001}"#).unwrap_err();
    assert_eq!(refused, "entries: 1000001 is above the limit of 1000000");
}

#[test]
fn equal_states_give_equal_bytes_however_they_came_to_be() {
    let filled: Cells = contract::create(r#"{"entries":3000}"#).unwrap();
    let mut forwards: Cells = contract::create("").unwrap();
    let mut backwards = forwards.clone();
    for id in 0..3000 {
        forwards = set(&forwards, id, filled.value(id).unwrap()).unwrap();
        backwards = set(&backwards, 2999 - id, 0).unwrap();
        backwards = set(&backwards, 2999 - id, filled.value(2999 - id).unwrap()).unwrap();
    }
    let bytes = contract::snapshot(&filled).unwrap();
    let restored: Cells = contract::restore(&bytes, 1).unwrap();
    for state in [forwards, backwards, restored] {
        assert_eq!(contract::snapshot(&state).unwrap(), bytes);
    }
}
