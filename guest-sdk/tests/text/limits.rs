//! The limits of `Text`, each to the last byte.

use reapply_guest::{CharRange, Id, StateMachine, Text, TextConflict, TextLimit, TextTransition};

use super::{ADA, BOB, apply_all, char_id, conflict, text};

fn too_long(limit: TextLimit, max: u32) -> TextConflict {
    TextConflict::TooLong { limit, max }
}

#[test]
fn an_insert_has_a_size() {
    let max = Text::INSERT_BYTES_MAX as usize;
    let text = text("a");
    assert!(text.apply(&text.insert(BOB, 1, "x".repeat(max))).is_ok());
    let longer = text.insert(BOB, 1, "é".repeat(max / 2) + "x");
    assert_eq!(conflict(&text, &longer), too_long(TextLimit::InsertBytes, Text::INSERT_BYTES_MAX));
}

#[test]
fn a_transition_has_so_many_ranges() {
    let text = text("a");
    let ranges = |count: u32| vec![CharRange { id: ADA, offset: 0, length: 1 }; count as usize];
    let expected = too_long(TextLimit::Ranges, Text::RANGES_MAX);
    assert!(text.apply(&TextTransition::Delete { ranges: ranges(Text::RANGES_MAX) }).is_ok());
    assert_eq!(conflict(&text, &TextTransition::Delete { ranges: ranges(Text::RANGES_MAX + 1) }), expected);
    let mark = |ranges| TextTransition::Mark { ranges, mark: "bold".to_owned(), value: None };
    assert!(text.apply(&mark(ranges(Text::RANGES_MAX))).is_ok());
    assert_eq!(conflict(&text, &mark(ranges(Text::RANGES_MAX + 1))), expected);
}

#[test]
fn a_mark_has_a_size() {
    let text = text("a");
    let mark = |name: u32, value: u32| text.mark(0..1, "n".repeat(name as usize), "v".repeat(value as usize));
    let (name, value) = (Text::MARK_NAME_BYTES_MAX, Text::MARK_VALUE_BYTES_MAX);
    assert!(text.apply(&mark(name, value)).is_ok());
    assert_eq!(conflict(&text, &mark(name + 1, value)), too_long(TextLimit::MarkNameBytes, name));
    assert_eq!(conflict(&text, &mark(name, value + 1)), too_long(TextLimit::MarkValueBytes, value));
}

#[test]
fn a_character_has_so_many_marks() {
    let max = Text::MARKS_PER_CHAR_MAX;
    let text = (0..max).fold(text("ab"), |text, name| apply_all(&text, &[text.mark(0..1, name.to_string(), "")]));
    assert_eq!(text.marks_at(0).len(), max as usize);
    assert_eq!(conflict(&text, &text.mark(0..2, "more", "")), too_long(TextLimit::MarksPerChar, max));
    assert!(text.apply(&text.mark(0..2, "0", "changed")).is_ok(), "one that it has may change");
    assert!(text.apply(&text.unmark(0..2, "0")).is_ok());
}

#[test]
fn a_number_is_within_its_range() {
    let insert = |offset, text: &str| TextTransition::Insert { id: BOB, offset, after: None, text: text.to_owned() };
    let text = text("a");
    let expected = too_long(TextLimit::Offset, Text::OFFSET_MAX);
    assert_eq!(conflict(&text, &insert(Text::OFFSET_MAX, "xy")), expected);
    assert_eq!(conflict(&text, &insert(u32::MAX, "x")), expected);
    let full = apply_all(&text, &[insert(Text::OFFSET_MAX, "x")]);
    assert_eq!(conflict(&full, &full.insert(BOB, 0, "y")), expected, "no number is left of this id");

    let delete = |offset, length| TextTransition::Delete { ranges: vec![CharRange { id: BOB, offset, length }] };
    assert_eq!(apply_all(&full, &[delete(Text::OFFSET_MAX, 1)]).to_string(), "a");
    assert_eq!(conflict(&full, &delete(Text::OFFSET_MAX, 2)), TextConflict::NoSuchChar(char_id(BOB, u32::MAX)));
    assert_eq!(conflict(&full, &delete(u32::MAX, u32::MAX)), TextConflict::NoSuchChar(char_id(BOB, u32::MAX)));
    assert_eq!(conflict(&full, &delete(0, u32::MAX)), TextConflict::NoSuchChar(char_id(BOB, 0)));
}

#[test]
fn a_text_has_so_many_characters_with_the_deleted_ones() {
    let block = "x".repeat(Text::INSERT_BYTES_MAX as usize);
    let blocks = Text::CHARS_MAX / Text::INSERT_BYTES_MAX;
    let insert = |id: u32, text: &str| TextTransition::Insert {
        id: Id::from_bits(u128::from(id)),
        offset: 0,
        after: None,
        text: text.to_owned(),
    };
    let text = (1..blocks).fold(Text::default(), |text, id| apply_all(&text, &[insert(id, &block)]));
    let text = apply_all(&text, &[insert(0, &block[1..]), text.delete(0..100_000)]);
    let expected = too_long(TextLimit::Chars, Text::CHARS_MAX);
    assert_eq!(conflict(&text, &insert(blocks, "xy")), expected);
    let full = apply_all(&text, &[insert(blocks, "x")]);
    assert_eq!(full.len(), Text::CHARS_MAX as usize - 100_000);
    assert_eq!(conflict(&full, &insert(blocks + 1, "x")), expected);
    assert_eq!(super::restored(&full), full);
    assert!(full.apply(&full.delete(0..10)).is_ok());
}

#[test]
fn what_asks_for_nothing_changes_nothing() {
    let text = text("abc");
    let nothing = [
        text.insert(BOB, 1, ""),
        text.delete(1..1),
        text.delete(3..9),
        text.mark(2..2, "bold", "true"),
        text.unmark(0..3, "bold"),
        TextTransition::Delete { ranges: vec![CharRange { id: BOB, offset: 0, length: 0 }] },
    ];
    for transition in nothing {
        assert_eq!(text.apply(&transition), Ok(text.clone()), "{transition:?}");
    }
    assert_eq!(apply_all(&text, &[text.insert(BOB, 99, "d")]).to_string(), "abcd", "beyond the end is the end");
}
