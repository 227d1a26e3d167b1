//! The JSON form and the snapshot of `Text`, and inputs that are neither.

use reapply_guest::{Id, Rng, StateMachine, Text, TextTransition, contract};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ADA, BOB, apply_all, char_id, restored, snapshot, text};

/// The documented content of a snapshot, written down once more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Stored {
    ids: Vec<Id>,
    marks: Vec<Vec<(String, String)>>,
    runs: Vec<(u32, u32, Content)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Content {
    Deleted(u32),
    Plain(String),
    Marked(String, u32),
}

fn restore(stored: &Stored) -> Result<Text, String> {
    contract::restore(&postcard::to_allocvec(stored).unwrap(), 1)
}

fn stored(text: &Text) -> Stored {
    postcard::from_bytes(&snapshot(text)).unwrap()
}

/// "ab", three deleted characters, a bold "f", and Bob's "é" after it.
fn sample() -> Text {
    let text = text("abcdef");
    let text = apply_all(&text, &[text.insert(BOB, 6, "é"), text.delete(2..5), text.mark(5..6, "bold", "true")]);
    assert_eq!(text.to_string(), "abfé");
    text
}

fn sample_stored() -> Stored {
    Stored {
        ids: vec![ADA, BOB],
        marks: vec![vec![("bold".to_owned(), "true".to_owned())]],
        runs: vec![
            (0, 0, Content::Plain("ab".to_owned())),
            (0, 2, Content::Deleted(3)),
            (0, 5, Content::Marked("f".to_owned(), 0)),
            (1, 0, Content::Plain("é".to_owned())),
        ],
    }
}

#[test]
fn a_snapshot_holds_runs_in_order_and_tables() {
    assert_eq!(stored(&sample()), sample_stored());
    assert_eq!(restore(&sample_stored()).unwrap(), sample());
    assert_eq!(stored(&Text::default()), Stored::default());
}

#[test]
fn a_view_is_the_text_and_the_ids_of_its_characters() {
    let view: Value = serde_json::from_str(&contract::view(&sample()).unwrap()).unwrap();
    let (ada, bob) = (ADA.to_string(), BOB.to_string());
    let expected = json!({
        "text": "abfé",
        "runs": [
            { "id": ada, "offset": 0, "length": 2 },
            { "id": ada, "offset": 5, "length": 1, "marks": { "bold": "true" } },
            { "id": bob, "offset": 0, "length": 1 },
        ],
    });
    assert_eq!(view, expected);
    let read: Text = serde_json::from_value(expected.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), expected);
    assert_ne!(read, sample(), "a view knows nothing of deleted characters");
}

#[test]
fn transitions_have_the_documented_json() {
    let json = json!({ "Insert": {
        "id": BOB.to_string(), "offset": 7, "after": { "id": ADA.to_string(), "offset": 2 }, "text": "hé",
    } });
    let transition =
        TextTransition::Insert { id: BOB, offset: 7, after: Some(char_id(ADA, 2)), text: "hé".to_owned() };
    let bytes = contract::encode::<Text>(&json.to_string()).unwrap();
    assert_eq!(postcard::from_bytes::<TextTransition>(&bytes).unwrap(), transition);
    assert_eq!(serde_json::from_str::<Value>(&contract::decode::<Text>(&bytes).unwrap()).unwrap(), json);

    let text = text("abc");
    let ranges = json!([{ "id": ADA.to_string(), "offset": 1, "length": 2 }]);
    let delete = json!({ "Delete": { "ranges": ranges } });
    assert_eq!(serde_json::to_value(text.delete(1..3)).unwrap(), delete);
    let mark = json!({ "Mark": { "ranges": ranges, "mark": "link", "value": "/" } });
    assert_eq!(serde_json::to_value(text.mark(1..3, "link", "/")).unwrap(), mark);
    let unmark = json!({ "Mark": { "ranges": ranges, "mark": "link", "value": null } });
    assert_eq!(serde_json::to_value(text.unmark(1..3, "link")).unwrap(), unmark);
}

#[test]
fn equal_texts_give_equal_bytes_however_they_came_about() {
    let whole = text("abcdef");
    let typed = "abcdef"
        .chars()
        .enumerate()
        .fold(Text::default(), |text, (index, char)| apply_all(&text, &[text.insert(ADA, index, char)]));
    // The same characters with the same ids, the last three first.
    let insert = |offset, after, text: &str| TextTransition::Insert { id: ADA, offset, after, text: text.to_owned() };
    let pieces = apply_all(&Text::default(), &[insert(3, None, "def"), insert(0, None, "abc")]);
    for other in [typed, pieces] {
        assert_eq!(other, whole);
        assert_eq!(snapshot(&other), snapshot(&whole));
        assert_eq!(contract::view(&other), contract::view(&whole));
    }
    let marked = apply_all(&whole, &[whole.mark(1..3, "bold", "x"), whole.mark(2..5, "bold", "x")]);
    assert_eq!(snapshot(&marked), snapshot(&apply_all(&whole, &[whole.mark(1..5, "bold", "x")])));
    assert_eq!(snapshot(&apply_all(&marked, &[whole.unmark(0..6, "bold")])), snapshot(&whole));
    let deleted = apply_all(&whole, &[whole.delete(3..4), whole.delete(1..2), whole.delete(2..3)]);
    assert_eq!(snapshot(&deleted), snapshot(&apply_all(&whole, &[whole.delete(1..4)])));
}

#[test]
fn texts_differ_in_ids_marks_and_deleted_characters() {
    let ab = text("ab");
    let others = [
        apply_all(&Text::default(), &[Text::default().insert(BOB, 0, "ab")]),
        apply_all(&ab, &[ab.mark(0..1, "bold", "true")]),
        apply_all(&text("abc"), &[text("abc").delete(2..3)]),
    ];
    for other in others {
        assert_ne!(other, ab);
        assert_ne!(snapshot(&other), snapshot(&ab));
        assert_eq!(restored(&other), other);
    }
}

#[test]
fn a_snapshot_that_no_text_wrote_is_refused() {
    type Change = fn(&mut Stored);
    let cases: [(&str, Change); 18] = [
        ("an id twice", |stored| stored.ids[1] = ADA),
        ("an id that no run names", |stored| stored.ids.push(Id::from_bits(9))),
        ("ids in another order than the runs'", |stored| stored.runs[0].0 = 1),
        ("a run that names no id", |stored| stored.runs[3].0 = 2),
        ("no id for a run that names the next", |stored| stored.ids.truncate(1)),
        ("no marks for a run that names them", |stored| stored.marks.clear()),
        ("marks that no run names", |stored| stored.runs[2].2 = Content::Plain("f".to_owned())),
        ("empty marks", |stored| stored.marks[0].clear()),
        ("marks out of order", |stored| stored.marks[0].push(("a".to_owned(), String::new()))),
        ("a mark twice", |stored| stored.marks[0].push(("bold".to_owned(), String::new()))),
        ("a long name of a mark", |stored| stored.marks[0][0].0 = "b".repeat(65)),
        ("a long value of a mark", |stored| stored.marks[0][0].1 = "b".repeat(2049)),
        ("an empty run", |stored| stored.runs[0].2 = Content::Plain(String::new())),
        ("an empty run that is deleted", |stored| stored.runs[1].2 = Content::Deleted(0)),
        ("a character twice", |stored| stored.runs[1].2 = Content::Deleted(4)),
        ("a run that goes on in the next", |stored| stored.runs[1].2 = Content::Plain("cde".to_owned())),
        ("too many characters", |stored| stored.runs[1].2 = Content::Deleted(u32::MAX)),
        ("a number beyond the highest", |stored| stored.runs[3].1 = u32::MAX),
    ];
    for (what, change) in cases {
        let mut stored = sample_stored();
        change(&mut stored);
        assert!(restore(&stored).is_err(), "{what}");
    }
}

#[test]
fn bytes_that_are_no_snapshot_are_refused() {
    let bytes = snapshot(&sample());
    for end in 0..bytes.len() {
        assert!(contract::restore::<Text>(&bytes[..end], 1).is_err(), "the first {end} bytes");
    }
    let trailing = [&bytes[..], &[0]].concat();
    assert!(contract::restore::<Text>(&trailing, 1).is_err());
    // Tables and runs that claim to be 2^32 - 1 long.
    let absurd = [0xff, 0xff, 0xff, 0xff, 0x0f];
    for prefix in [&[][..], &[0][..], &[0, 0][..]] {
        assert!(contract::restore::<Text>(&[prefix, &absurd].concat(), 1).is_err());
    }
    assert!(contract::restore::<Text>(&bytes, 2).is_err());
}

#[test]
fn what_is_restored_is_what_was_written() {
    let seed = 7;
    println!("seed {seed}");
    let mut rng = Rng::from_seed(seed);
    let (mut restored, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut stored = sample_stored();
        for _ in 0..=rng.below(2) {
            mutate(&mut stored, &mut rng);
        }
        match restore(&stored) {
            Ok(text) => {
                restored += 1;
                assert_eq!(self::stored(&text), stored);
                // Every accepted text works.
                let text = text.apply(&text.insert(BOB, text.len() / 2, "new")).unwrap();
                assert_eq!(super::restored(&text), text);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(restored > 1_000 && refused > 1_000, "{restored} restored, {refused} refused");
}

fn mutate(stored: &mut Stored, rng: &mut Rng) {
    let at = rng.below(stored.runs.len() as u64) as usize;
    let small = rng.below(6) as u32;
    let text = ["", "x", "é", "xy", "xyz"][rng.below(5) as usize].to_owned();
    match rng.below(8) {
        0 => stored.runs[at].0 = small % 3,
        1 => stored.runs[at].1 = small,
        2 => stored.runs[at].2 = Content::Plain(text),
        3 => stored.runs[at].2 = Content::Deleted(small),
        4 => stored.runs[at].2 = Content::Marked(text, small % 2),
        5 => stored.runs.swap(at, small as usize % 4),
        6 => stored.ids.push(Id::from_bits(u128::from(small))),
        _ => stored.marks.push(vec![(text, "value".to_owned())]),
    }
}

#[test]
fn json_that_is_no_text_is_refused() {
    let run = |offset: u32, length: u32| json!({ "id": ADA.to_string(), "offset": offset, "length": length });
    let cases = [
        (json!({ "text": "abc", "runs": [run(0, 4)] }), "add up to more"),
        (json!({ "text": "abc", "runs": [run(0, 2)] }), "add up to less"),
        (json!({ "text": "abc", "runs": [] }), "add up to less"),
        (json!({ "text": "abc", "runs": [run(0, 2), run(2, 1)] }), "continues the one before"),
        (json!({ "text": "abc", "runs": [run(1, 2), run(0, 1), run(3, 0)] }), "is empty"),
        (json!({ "text": "abc", "runs": [run(1, 2), run(2, 1)] }), "a character is there twice"),
        (json!({ "text": "abc" }), "missing field `runs`"),
    ];
    for (json, expected) in cases {
        let error = serde_json::from_value::<Text>(json).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} has no {expected:?}");
    }
}

#[test]
fn a_transition_that_brings_a_text_is_the_same_after_json() {
    type Texts = reapply_guest::Map<String, Text>;
    let text = text("abcdef");
    let inner = apply_all(&text, &[text.delete(1..3), text.insert(BOB, 4, "xyz"), text.mark(0..1, "bold", "true")]);
    let inner = apply_all(&inner, &[inner.delete(2..5)]);
    let texts = Texts::default();
    let set = texts.set("a".to_owned(), inner.clone());
    let bytes = postcard::to_allocvec(&set).unwrap();
    let json = contract::decode::<Texts>(&bytes).unwrap();
    assert!(json.contains(r#""deleted":true"#), "{json}");
    assert_eq!(contract::encode::<Texts>(&json), Ok(bytes));
    // The form for user interfaces has no deleted characters, before and after.
    let texts = StateMachine::apply(&texts, &set).unwrap();
    assert!(!contract::view(&texts).unwrap().contains("deleted"));
    assert_eq!(texts.get("a"), Some(&inner));

    let marked = json.replacen(r#""deleted":true"#, r#""deleted":true,"marks":{"bold":"true"}"#, 1);
    assert!(contract::encode::<Texts>(&marked).unwrap_err().contains("a run that is deleted has marks"));
}
