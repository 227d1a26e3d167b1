//! Texts of very many pieces, and edits of all of them.

use reapply_guest::{CharRange, StateMachine, Text, TextConflict, TextLimit, TextTransition, contract};
use serde::Serialize;

use super::{ADA, BOB, apply_all, char_id, conflict, restored, text};

/// A snapshot, as a text without marks writes it.
#[derive(Serialize)]
struct Stored {
    ids: Vec<reapply_guest::Id>,
    marks: Vec<()>,
    runs: Vec<(u32, u32, Content)>,
}

#[derive(Serialize)]
#[expect(dead_code, reason = "a text may also store these")]
enum Content {
    Deleted { length: u32 },
    Plain { text: String },
}

/// Returns a text that Ada wrote backwards, so that each character is a piece.
fn backwards(pieces: u32) -> Text {
    let runs = (0..pieces).rev().map(|offset| (0, offset, Content::Plain { text: "x".to_owned() })).collect();
    let stored = Stored { ids: vec![ADA], marks: Vec::new(), runs };
    contract::restore(&postcard::to_allocvec(&stored).unwrap(), <Text as StateMachine>::STATE_VERSION).unwrap()
}

#[test]
fn as_many_ranges_as_there_may_be_are_edited_at_once() {
    let ranges: Vec<CharRange> =
        (0..Text::RANGES_MAX).map(|range| CharRange { id: ADA, offset: range * 3, length: 1 }).collect();
    let text = text(&"abc".repeat(Text::RANGES_MAX as usize));
    let deleted = apply_all(&text, &[TextTransition::Delete { ranges: ranges.clone() }]);
    assert_eq!(deleted.to_string(), "bc".repeat(Text::RANGES_MAX as usize));
    let mark = TextTransition::Mark { ranges, mark: "bold".to_owned(), value: Some("true".to_owned()) };
    let marked = apply_all(&text, &[mark]);
    assert!((0..marked.len()).all(|index| marked.marks_at(index).contains_key("bold") == index.is_multiple_of(3)));
    for edited in [&deleted, &marked] {
        assert_eq!(&restored(edited), edited);
    }
}

#[test]
fn ranges_that_overlap_or_hold_nothing_are_one() {
    let text = text("abcdef");
    let range = |offset, length| CharRange { id: ADA, offset, length };
    let ranges = vec![range(3, 2), range(0, 0), range(1, 3), range(1, 1), range(9, 0)];
    assert_eq!(apply_all(&text, &[TextTransition::Delete { ranges }]).to_string(), "af");
    let beyond = |ranges| conflict(&text, &TextTransition::Delete { ranges });
    assert_eq!(beyond(vec![range(4, 4), range(2, 9)]), TextConflict::NoSuchChar(char_id(ADA, 6)));
    assert_eq!(beyond(vec![range(1, u32::MAX), range(0, 2)]), TextConflict::NoSuchChar(char_id(ADA, 6)));
    let other = CharRange { id: BOB, offset: 1, length: 1 };
    assert_eq!(beyond(vec![range(0, 1), other, range(7, 1)]), TextConflict::NoSuchChar(char_id(BOB, 1)));
}

#[test]
fn a_text_has_so_many_pieces() {
    let full = backwards(Text::PIECES_MAX);
    let expected = TextConflict::TooLong { limit: TextLimit::Pieces, max: Text::PIECES_MAX };
    assert_eq!(conflict(&full, &full.insert(BOB, 5, "x")), expected);
    assert!(full.apply(&full.delete(5..9)).is_ok(), "no piece more");
    let typed = TextTransition::Insert {
        id: ADA,
        offset: Text::PIECES_MAX,
        after: Some(char_id(ADA, Text::PIECES_MAX - 1)),
        text: "typed on".to_owned(),
    };
    let longer = apply_all(&full, &[typed]);
    assert_eq!(conflict(&longer, &longer.delete(3..4)), expected, "a piece becomes three");

    let beyond = backwards(Text::PIECES_MAX + 5);
    assert!(beyond.apply(&beyond.delete(0..10)).is_ok(), "what is there stays, and may be edited");
}

#[test]
fn marks_have_so_many_bytes_in_all() {
    let value = "v".repeat(2_000);
    let fits = Text::MARK_BYTES_MAX / 2_004;
    let (few, many) = (backwards(fits), backwards(fits + 1));
    let marked = apply_all(&few, &[few.mark(0..few.len(), "link", &*value)]);
    assert_eq!(restored(&marked), marked);
    let expected = TextConflict::TooLong { limit: TextLimit::MarkBytes, max: Text::MARK_BYTES_MAX };
    assert_eq!(conflict(&many, &many.mark(0..many.len(), "link", &*value)), expected);
    assert_eq!(conflict(&marked, &marked.mark(0..1, "more", &*value)), expected);
    assert!(marked.apply(&marked.unmark(0..9, "link")).is_ok());
    assert!(marked.apply(&marked.delete(0..9)).is_ok());
}

#[test]
fn marks_of_one_character_have_so_many_bytes() {
    let text = text("ab");
    let value = "v".repeat(2_000);
    let two = apply_all(&text, &[text.mark(0..2, "one", &*value), text.mark(0..1, "two", &*value)]);
    let expected = TextConflict::TooLong { limit: TextLimit::MarkBytesPerChar, max: Text::MARK_BYTES_PER_CHAR_MAX };
    assert_eq!(conflict(&two, &two.mark(0..2, "three", &*value)), expected);
    assert!(two.apply(&two.mark(0..1, "two", "shorter")).is_ok());
}
