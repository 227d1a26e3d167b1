//! Two people at one list.

use Place::{After, Before, Between, First, Last};
use reapply_guest::{Counter, CounterTransition, List, ListConflict, ListTransition, Place, StateMachine};

use crate::common::{after, id};

type Numbers = List<Counter>;
type Transition = ListTransition<Counter>;

/// Returns a list of items that are named 1, 2, 3, ... and stand at zero.
fn numbered(count: u128) -> Numbers {
    List::from_items((1..=count).map(|bits| (id(bits), Counter::default()))).unwrap()
}

fn insert(bits: u128, place: Place) -> Transition {
    ListTransition::Insert { id: id(bits), place, item: Counter::default() }
}

fn delete(bits: u128) -> Transition {
    ListTransition::Delete(id(bits))
}

fn move_to(bits: u128, place: Place) -> Transition {
    ListTransition::Move { id: id(bits), place }
}

fn add(bits: u128, number: i32) -> Transition {
    ListTransition::Item(id(bits), CounterTransition::Add(number))
}

/// Returns the items' names after both transitions, in this order.
#[track_caller]
fn check_order(list: &Numbers, first: &Transition, second: &Transition, expected: &[u128]) {
    let list = after(list, first, second).unwrap();
    let names: Vec<u128> = list.iter().map(|(id, _)| id.bits()).collect();
    assert_eq!(names, expected);
}

#[track_caller]
fn check_conflict(list: &Numbers, first: &Transition, second: &Transition, gone: u128) {
    let first = list.apply(first).unwrap();
    assert_eq!(first.apply(second), Err(ListConflict::NoSuchItem(id(gone))));
}

#[test]
fn two_people_append() {
    check_order(&numbered(2), &insert(10, Last), &insert(20, Last), &[1, 2, 10, 20]);
    check_order(&numbered(0), &insert(10, Last), &insert(20, Last), &[10, 20]);
}

#[test]
fn two_people_prepend() {
    check_order(&numbered(2), &insert(10, First), &insert(20, First), &[20, 10, 1, 2]);
}

#[test]
fn two_people_insert_after_one_item_or_between_two() {
    let [one, two] = [id(1), id(2)];
    check_order(&numbered(2), &insert(10, After(one)), &insert(20, After(one)), &[1, 20, 10, 2]);
    check_order(&numbered(2), &insert(10, Between(one, two)), &insert(20, Between(one, two)), &[1, 20, 10, 2]);
    check_order(&numbered(2), &insert(10, Between(one, two)), &insert(20, After(one)), &[1, 20, 10, 2]);
}

#[test]
fn two_people_insert_before_one_item() {
    check_order(&numbered(2), &insert(10, Before(id(2))), &insert(20, Before(id(2))), &[1, 10, 20, 2]);
    check_order(&numbered(1), &insert(10, Before(id(1))), &insert(20, Before(id(1))), &[10, 20, 1]);
}

#[test]
fn one_inserts_beside_an_item_and_another_deletes_it() {
    let list = numbered(3);
    for place in [After(id(2)), Before(id(2))] {
        check_conflict(&list, &delete(2), &insert(10, place), 2);
    }
    check_order(&list, &insert(10, After(id(2))), &delete(2), &[1, 10, 3]);
    check_order(&list, &insert(10, Before(id(2))), &delete(2), &[1, 10, 3]);
}

#[test]
fn one_inserts_between_items_and_another_deletes_them() {
    let list = numbered(4);
    let between = insert(10, Between(id(2), id(3)));
    check_order(&list, &delete(2), &between, &[1, 10, 3, 4]);
    check_order(&list, &delete(3), &between, &[1, 2, 10, 4]);
    let without_both = after(&list, &delete(3), &delete(2)).unwrap();
    assert_eq!(without_both.apply(&between), Err(ListConflict::NoSuchItem(id(2))));
}

#[test]
fn one_inserts_between_items_and_another_moves_them_apart() {
    let between = insert(10, Between(id(2), id(3)));
    check_order(&numbered(4), &move_to(2, Last), &between, &[1, 3, 4, 2, 10]);
    check_order(&numbered(4), &move_to(3, First), &between, &[3, 1, 2, 10, 4]);
    check_order(&numbered(4), &between, &move_to(3, First), &[3, 1, 2, 10, 4]);
}

#[test]
fn two_people_move_one_item() {
    check_order(&numbered(3), &move_to(2, First), &move_to(2, Last), &[1, 3, 2]);
    check_order(&numbered(3), &move_to(2, Last), &move_to(2, First), &[2, 1, 3]);
}

#[test]
fn one_moves_an_item_and_another_changes_it() {
    for [first, second] in [[move_to(1, Last), add(1, 5)], [add(1, 5), move_to(1, Last)]] {
        let list = after(&numbered(2), &first, &second).unwrap();
        assert!(list.iter().eq([(id(2), &Counter::from(0)), (id(1), &Counter::from(5))]));
    }
}

#[test]
fn one_deletes_an_item_and_another_moves_or_changes_it() {
    let list = numbered(3);
    for other in [move_to(2, Last), add(2, 5)] {
        check_conflict(&list, &delete(2), &other, 2);
        check_order(&list, &other, &delete(2), &[1, 3]);
    }
}

#[test]
fn two_people_delete_one_item() {
    check_conflict(&numbered(3), &delete(2), &delete(2), 2);
    check_order(&numbered(3), &delete(2), &delete(1), &[3]);
}

#[test]
fn two_people_change_one_item() {
    let list = after(&numbered(1), &add(1, 2), &add(1, 3)).unwrap();
    assert_eq!(list.get(id(1)), Some(&Counter::from(5)));
}

#[test]
fn an_item_that_is_sent_beside_itself_stays() {
    let list = numbered(3);
    let own = id(2);
    for place in [
        After(own),
        Before(own),
        Between(own, id(1)),
        Between(own, id(9)),
        Between(id(9), own),
        After(id(1)),
        Before(id(3)),
    ] {
        assert_eq!(list.apply(&move_to(2, place)), Ok(list.clone()), "{place:?}");
    }
    assert_eq!(list.apply(&move_to(1, First)), Ok(list.clone()));
    assert_eq!(list.apply(&move_to(3, Last)), Ok(list.clone()));
    assert_eq!(list.apply(&move_to(9, After(id(9)))), Err(ListConflict::NoSuchItem(id(9))));
}

#[test]
fn an_id_names_one_item_at_a_time() {
    let list = numbered(2);
    assert_eq!(list.apply(&insert(2, First)), Err(ListConflict::IdTaken(id(2))));
    check_order(&list, &delete(2), &insert(2, First), &[2, 1]);
}
