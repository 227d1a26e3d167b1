//! The sentences of the section "Two people at once" of `Text`'s docs.

use reapply_guest::{TextConflict, TextTransition};

use super::{ADA, BOB, apply_all, char_id, conflict, restored, text};
use reapply_guest::{Id, StateMachine, Text};

const CYD: Id = Id::from_bits(0xc7d);

#[test]
fn of_two_inserts_after_one_character_the_later_stands_first() {
    let text = text("[]");
    let (bobs, cyds) = (text.insert(BOB, 1, "bob"), text.insert(CYD, 1, "cyd"));
    assert_eq!(apply_all(&text, &[bobs.clone(), cyds.clone()]).to_string(), "[cydbob]");
    assert_eq!(apply_all(&text, &[cyds, bobs]).to_string(), "[bobcyd]");
}

#[test]
fn of_two_inserts_at_the_start_the_later_stands_first() {
    let text = text("!");
    let (bobs, cyds) = (text.insert(BOB, 0, "bob"), text.insert(CYD, 0, "cyd"));
    assert_eq!(apply_all(&text, &[bobs, cyds]).to_string(), "cydbob!");
}

#[test]
fn two_who_type_on_in_one_place_do_not_mix() {
    let mut texts = text("[]");
    // Each sees only their own text: new characters go after their earlier ones.
    let (mut bobs, mut cyds) = (texts.clone(), texts.clone());
    for index in 0..20 {
        let bob = bobs.insert(BOB, 1 + index, "b");
        let cyd = cyds.insert(CYD, 1 + index, "c");
        bobs = apply_all(&bobs, std::slice::from_ref(&bob));
        cyds = apply_all(&cyds, std::slice::from_ref(&cyd));
        texts = apply_all(&texts, &[bob, cyd]);
    }
    assert_eq!(texts.to_string(), format!("[{}{}]", "c".repeat(20), "b".repeat(20)));
}

#[test]
fn two_who_delete_the_same_delete_it_once() {
    let text = text("abcdef");
    let after = apply_all(&text, &[text.delete(1..4), text.delete(2..5)]);
    assert_eq!(after.to_string(), "af");
    assert_eq!(apply_all(&after, &[text.delete(1..5)]), after, "what is deleted already stays as it is");
}

#[test]
fn an_insert_among_deleted_characters_is_in_its_place() {
    let text = text("abcdef");
    let delete = text.delete(1..5);
    for (index, expected) in [(1, "aXf"), (3, "aXf"), (5, "aXf"), (6, "afX")] {
        let insert = text.insert(BOB, index, "X");
        let before = apply_all(&text, &[delete.clone(), insert.clone()]);
        assert_eq!(before.to_string(), expected);
        assert_eq!(before, apply_all(&text, &[insert, delete.clone()]), "either order gives the same");
    }
    // Two inserts whose neighbours are deleted keep their order.
    let (second, first) = (text.insert(BOB, 4, "2"), text.insert(CYD, 2, "1"));
    assert_eq!(apply_all(&text, &[delete.clone(), second.clone(), first.clone()]).to_string(), "a12f");
    let after = restored(&apply_all(&text, &[delete]));
    assert_eq!(apply_all(&after, &[first, second]).to_string(), "a12f", "a snapshot keeps the places");
}

#[test]
fn a_deleted_character_takes_no_mark() {
    let text = text("abc");
    let (delete, mark) = (text.delete(0..2), text.mark(0..3, "bold", "true"));
    let deleted_first = apply_all(&text, &[delete.clone(), mark.clone()]);
    assert_eq!(deleted_first.to_string(), "c");
    assert_eq!(deleted_first, apply_all(&text, &[mark, delete]));
}

#[test]
fn of_two_values_of_one_mark_each_character_has_the_later() {
    let text = text("abcd");
    let (red, blue) = (text.mark(0..3, "color", "red"), text.mark(1..4, "color", "blue"));
    let color = |text: &Text, index| text.marks_at(index).remove("color");
    let after = apply_all(&text, &[red.clone(), blue.clone()]);
    assert_eq!([0, 1, 2, 3].map(|index| color(&after, index).unwrap()), ["red", "blue", "blue", "blue"]);
    let after = apply_all(&text, &[blue, red, text.unmark(2..4, "color")]);
    assert_eq!([0, 1].map(|index| color(&after, index).unwrap()), ["red", "red"]);
    assert_eq!([2, 3].map(|index| color(&after, index)), [None, None]);
}

#[test]
fn two_different_marks_are_both_there() {
    let text = text("abc");
    let (bold, link) = (text.mark(0..2, "bold", "true"), text.mark(1..3, "link", "/"));
    let after = apply_all(&text, &[bold.clone(), link.clone()]);
    assert_eq!([0, 1, 2].map(|index| after.marks_at(index).len()), [1, 2, 1]);
    assert_eq!(after, apply_all(&text, &[link, bold]));
}

#[test]
fn an_insert_takes_a_mark_around_it_only_if_that_came_first() {
    let text = text("abcd");
    let (insert, mark) = (text.insert(BOB, 2, "X"), text.mark(0..4, "bold", "true"));
    let marked = |text: &Text| (0..5).map(|index| text.marks_at(index).len()).collect::<Vec<_>>();
    assert_eq!(marked(&apply_all(&text, &[insert.clone(), mark.clone()])), [1, 1, 0, 1, 1]);
    assert_eq!(marked(&apply_all(&text, &[mark, insert])), [1, 1, 1, 1, 1]);
}

#[test]
fn of_two_inserts_with_the_same_ids_the_later_conflicts() {
    let text = text("ab");
    let insert = |text: &str| TextTransition::Insert { id: BOB, offset: 3, after: None, text: text.to_owned() };
    let after = apply_all(&text, &[insert("xyz")]);
    assert_eq!(conflict(&after, &insert("uvw")), TextConflict::IdTaken(char_id(BOB, 3)));
    let overlapping = TextTransition::Insert { id: BOB, offset: 0, after: None, text: "four".to_owned() };
    assert_eq!(conflict(&after, &overlapping), TextConflict::IdTaken(char_id(BOB, 3)));
    let deleted = apply_all(&after, &[after.delete(0..5)]);
    assert_eq!(conflict(&deleted, &insert("uvw")), TextConflict::IdTaken(char_id(BOB, 3)), "deleted ids stay taken");
    assert!(after.apply(&TextTransition::Insert { id: BOB, offset: 0, after: None, text: "ok!".to_owned() }).is_ok());
}

#[test]
fn an_insert_takes_the_marks_that_both_neighbours_share() {
    let text = text("abcdef");
    let text = apply_all(&text, &[text.mark(1..4, "bold", "true"), text.mark(2..6, "link", "/")]);
    let marks_of_insert = |text: &Text, index| {
        let after = apply_all(text, &[text.insert(BOB, index, "X")]);
        after.marks_at(index).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(marks_of_insert(&text, 0), [""; 0], "nothing stands before it");
    assert_eq!(marks_of_insert(&text, 1), [""; 0]);
    assert_eq!(marks_of_insert(&text, 2), ["bold"]);
    assert_eq!(marks_of_insert(&text, 3), ["bold", "link"]);
    assert_eq!(marks_of_insert(&text, 4), ["link"]);
    assert_eq!(marks_of_insert(&text, 6), [""; 0], "nothing stands after it");
    // Deleted characters do not count as neighbours: in "abf", the place between b and f has the neighbours b and f.
    let deleted = apply_all(&text, &[text.delete(2..5)]);
    assert_eq!(marks_of_insert(&deleted, 2), [""; 0]);
    let relinked = apply_all(&deleted, &[deleted.mark(1..2, "link", "/")]);
    assert_eq!(marks_of_insert(&relinked, 2), ["link"]);
}

#[test]
fn characters_that_never_were_are_named() {
    let text = text("abc");
    let missing = char_id(BOB, 7);
    let insert = TextTransition::Insert { id: BOB, offset: 0, after: Some(missing), text: "x".to_owned() };
    assert_eq!(conflict(&text, &insert), TextConflict::NoSuchChar(missing));
    let beyond = TextTransition::Insert { id: BOB, offset: 0, after: Some(char_id(ADA, 3)), text: "x".to_owned() };
    assert_eq!(conflict(&text, &beyond), TextConflict::NoSuchChar(char_id(ADA, 3)));
}
