//! The behaviour of a document, through the contract: JSON in, JSON out, as a page does it.

use reapply_check::Room;
use reapply_guest::Text;
use reapply_guest::contract;
use serde_json::{Value, json};
use text::{Document, Room as Machine};

const ADA: &str = "00000000-0000-0000-0000-00000000000a";
const BOB: &str = "00000000-0000-0000-0000-00000000000b";

/// A room with a document, which ada edits.
struct Paper(Room<Machine>);

impl Paper {
    /// Returns a document in which Ada has typed this.
    fn of_ada(text: &str) -> Self {
        let mut paper = Self(Room::new(""));
        paper.does(insert(ADA, 0, &Value::Null, text));
        paper
    }

    /// Applies a transition of the text.
    fn does(&mut self, body: Value) {
        self.0.does("ada", json!({ "Body": body }));
    }

    /// Expects a conflict that leaves the document alone.
    fn cannot(&mut self, body: Value, conflict: Value) {
        self.0.cannot("ada", json!({ "Body": body }), json!({ "Body": conflict }));
    }

    fn body(&self) -> Value {
        self.0.view()["body"].take()
    }
}

fn insert(id: &str, offset: u32, after: &Value, text: &str) -> Value {
    json!({ "Insert": { "id": id, "offset": offset, "after": after, "text": text } })
}

fn char(id: &str, offset: u32) -> Value {
    json!({ "id": id, "offset": offset })
}

fn range(id: &str, offset: u32, length: u32) -> Value {
    json!({ "id": id, "offset": offset, "length": length })
}

#[test]
fn what_is_typed_on_is_one_run() {
    let mut paper = Paper::of_ada("a");
    paper.does(insert(ADA, 1, &char(ADA, 0), "n"));
    paper.does(insert(ADA, 2, &char(ADA, 1), "😀d"));
    // Lengths count characters: the face, two UTF-16 code units, counts as one.
    assert_eq!(paper.body(), json!({ "text": "an😀d", "runs": [range(ADA, 0, 4)] }));
}

#[test]
fn an_insert_finds_its_place_beside_what_is_deleted() {
    let mut paper = Paper::of_ada("one two three");
    paper.does(json!({ "Delete": { "ranges": [range(ADA, 3, 4)] } }));
    paper.does(insert(BOB, 0, &char(ADA, 6), ", four,"));
    assert_eq!(paper.body()["text"], "one, four, three");
    paper.does(json!({ "Delete": { "ranges": [range(ADA, 0, 7)] } }));
    let runs = json!([range(BOB, 0, 7), range(ADA, 7, 6)]);
    assert_eq!(paper.body(), json!({ "text": ", four, three", "runs": runs }));
}

#[test]
fn marks_are_set_and_taken_off() {
    let mut paper = Paper::of_ada("so it is");
    paper.does(json!({ "Mark": { "ranges": [range(ADA, 3, 2)], "mark": "highlight", "value": "true" } }));
    let marked = json!({ "id": ADA, "offset": 3, "length": 2, "marks": { "highlight": "true" } });
    assert_eq!(paper.body()["runs"], json!([range(ADA, 0, 3), marked, range(ADA, 5, 3)]));
    paper.does(json!({ "Mark": { "ranges": [range(ADA, 0, 8)], "mark": "highlight", "value": null } }));
    assert_eq!(paper.body()["runs"], json!([range(ADA, 0, 8)]));
}

#[test]
fn what_never_was_there_and_what_is_there_are_conflicts() {
    let mut paper = Paper::of_ada("here");
    let never = json!({ "NoSuchChar": char(BOB, 0) });
    paper.cannot(insert(ADA, 4, &char(BOB, 0), "x"), never.clone());
    paper.cannot(json!({ "Delete": { "ranges": [range(BOB, 0, 1)] } }), never.clone());
    paper.cannot(json!({ "Mark": { "ranges": [range(BOB, 0, 1)], "mark": "strike", "value": "true" } }), never);
    paper.cannot(insert(ADA, 2, &Value::Null, "x"), json!({ "IdTaken": char(ADA, 2) }));
}

#[test]
fn what_is_too_long_is_a_conflict_that_says_the_limit() {
    let mut paper = Paper::of_ada("here");
    let too_long = |limit: &str, max: u32| json!({ "TooLong": { "limit": limit, "max": max } });
    let bytes = "x".repeat(Text::INSERT_BYTES_MAX as usize + 1);
    paper.cannot(insert(BOB, 0, &Value::Null, &bytes), too_long("InsertBytes", Text::INSERT_BYTES_MAX));
    let ranges = vec![range(ADA, 0, 1); Text::RANGES_MAX as usize + 1];
    paper.cannot(json!({ "Delete": { "ranges": ranges } }), too_long("Ranges", Text::RANGES_MAX));
    let name = "x".repeat(Text::MARK_NAME_BYTES_MAX as usize + 1);
    let mark = json!({ "Mark": { "ranges": [range(ADA, 0, 1)], "mark": name, "value": "true" } });
    paper.cannot(mark, too_long("MarkNameBytes", Text::MARK_NAME_BYTES_MAX));
}

#[test]
fn the_document_has_a_title() {
    let mut paper = Paper::of_ada("here");
    paper.0.does("ada", json!({ "Title": { "Replace": "Minutes" } }));
    let view = paper.0.view();
    assert_eq!((&view["title"], &view["body"]["text"]), (&json!("Minutes"), &json!("here")));
}

#[test]
fn a_snapshot_restores_the_very_document() {
    let mut paper = Paper::of_ada("here and gone");
    paper.does(json!({ "Delete": { "ranges": [range(ADA, 4, 9)] } }));
    paper.0.restores();
}

#[test]
fn an_id_is_theirs_who_used_it_first() {
    let mut paper = Paper::of_ada("mine");
    let forged = json!({ "Body": insert(ADA, 4, &char(ADA, 3), ", says Bob") });
    let last = json!({ "Body": insert(ADA, u32::MAX - 1, &Value::Null, "!") });
    for transition in [forged, last] {
        paper.0.cannot("bob", transition, json!({ "NotYourId": ADA }));
    }
    // Everyone may edit Ada's text; Bob writes into it under an id of his own.
    let delete = json!({ "Body": { "Delete": { "ranges": [range(ADA, 0, 2)] } } });
    paper.0.does("bob", delete);
    paper.0.does("bob", json!({ "Body": insert(BOB, 0, &Value::Null, "fi") }));
    let theirs = json!({ "Body": insert(BOB, 2, &char(BOB, 1), "x") });
    paper.0.cannot("ada", theirs, json!({ "NotYourId": BOB }));
    paper.does(insert(ADA, 4, &char(ADA, 3), "!"));
    assert_eq!(paper.body()["text"], "fine!");
    // An insert that conflicts does not claim an id.
    let nowhere = json!({ "Body": insert("00000000-0000-0000-0000-00000000000c", 0, &char(BOB, 99), "x") });
    assert!(paper.0.tries("bob", &nowhere).is_err());
    let carl = json!({ "Body": insert("00000000-0000-0000-0000-00000000000c", 0, &Value::Null, "x") });
    paper.0.does("carl", carl);
    paper.0.restores();
}

#[test]
fn a_document_of_the_first_version_becomes_a_room() {
    let document = Document { title: "Letter".to_owned().into(), body: Text::default() };
    let body = document.body.insert(reapply_guest::Id::from_bits(1), 0, "Dear all");
    let body = reapply_guest::StateMachine::apply(&document.body, &body).unwrap();
    let document = Document { body, ..document };
    let room: Machine = contract::restore(&contract::snapshot(&document).unwrap(), 1).unwrap();
    assert_eq!(contract::view(&room), contract::view(&document));
}
