//! The behaviour of a document, through the contract: JSON in, JSON out, as a page does it.

use reapply_guest::Text;
use reapply_guest::contract::{self, Event, Input, Rejection, Submission};
use serde_json::{Value, json};
use text::{Document, Room as Machine};

const ADA: &str = "00000000-0000-0000-0000-00000000000a";
const BOB: &str = "00000000-0000-0000-0000-00000000000b";

/// A room's document, and the events so far.
struct Room {
    document: Machine,
    seq: u64,
}

impl Room {
    /// Returns a document in which Ada has typed this.
    fn of_ada(text: &str) -> Self {
        let mut room = Self { document: contract::create("").unwrap(), seq: 0 };
        room.does(insert(ADA, 0, &Value::Null, text));
        room
    }

    fn tries(&mut self, transition: &Value) -> Result<(), Value> {
        self.tries_as("ada", transition)
    }

    fn tries_as(&mut self, author: &str, transition: &Value) -> Result<(), Value> {
        let transition = contract::encode::<Machine>(&transition.to_string()).unwrap();
        let input = Input::Transition(Submission { author: author.to_owned(), transition });
        let event = Event { seq: self.seq + 1, time: 0, entropy: 0, input };
        self.document = contract::apply(&self.document, event).map_err(|rejection| match rejection {
            Rejection::Conflict(conflict) => serde_json::from_str::<Value>(&conflict).unwrap(),
            Rejection::Malformed(what) => panic!("{what}"),
        })?;
        self.seq += 1;
        Ok(())
    }

    /// Applies a transition of the text.
    fn does(&mut self, body: Value) {
        assert_eq!(self.tries(&json!({ "Body": body })), Ok(()));
    }

    /// Expects a conflict that leaves the document alone.
    fn cannot(&mut self, body: Value, conflict: Value) {
        let before = self.document.clone();
        assert_eq!(self.tries(&json!({ "Body": body })), Err(json!({ "Body": conflict })));
        assert_eq!(self.document, before);
    }

    fn body(&self) -> Value {
        serde_json::from_str::<Value>(&contract::view(&self.document).unwrap()).unwrap()["body"].clone()
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
    let mut room = Room::of_ada("a");
    room.does(insert(ADA, 1, &char(ADA, 0), "n"));
    room.does(insert(ADA, 2, &char(ADA, 1), "😀d"));
    // Lengths count characters: the face, two UTF-16 code units, counts as one.
    assert_eq!(room.body(), json!({ "text": "an😀d", "runs": [range(ADA, 0, 4)] }));
}

#[test]
fn an_insert_finds_its_place_beside_what_is_deleted() {
    let mut room = Room::of_ada("one two three");
    room.does(json!({ "Delete": { "ranges": [range(ADA, 3, 4)] } }));
    room.does(insert(BOB, 0, &char(ADA, 6), ", four,"));
    assert_eq!(room.body()["text"], "one, four, three");
    room.does(json!({ "Delete": { "ranges": [range(ADA, 0, 7)] } }));
    let runs = json!([range(BOB, 0, 7), range(ADA, 7, 6)]);
    assert_eq!(room.body(), json!({ "text": ", four, three", "runs": runs }));
}

#[test]
fn marks_are_set_and_taken_off() {
    let mut room = Room::of_ada("so it is");
    room.does(json!({ "Mark": { "ranges": [range(ADA, 3, 2)], "mark": "highlight", "value": "true" } }));
    let marked = json!({ "id": ADA, "offset": 3, "length": 2, "marks": { "highlight": "true" } });
    assert_eq!(room.body()["runs"], json!([range(ADA, 0, 3), marked, range(ADA, 5, 3)]));
    room.does(json!({ "Mark": { "ranges": [range(ADA, 0, 8)], "mark": "highlight", "value": null } }));
    assert_eq!(room.body()["runs"], json!([range(ADA, 0, 8)]));
}

#[test]
fn what_never_was_there_and_what_is_there_are_conflicts() {
    let mut room = Room::of_ada("here");
    let never = json!({ "NoSuchChar": char(BOB, 0) });
    room.cannot(insert(ADA, 4, &char(BOB, 0), "x"), never.clone());
    room.cannot(json!({ "Delete": { "ranges": [range(BOB, 0, 1)] } }), never.clone());
    room.cannot(json!({ "Mark": { "ranges": [range(BOB, 0, 1)], "mark": "strike", "value": "true" } }), never);
    room.cannot(insert(ADA, 2, &Value::Null, "x"), json!({ "IdTaken": char(ADA, 2) }));
}

#[test]
fn what_is_too_long_is_a_conflict_that_says_the_limit() {
    let mut room = Room::of_ada("here");
    let too_long = |limit: &str, max: u32| json!({ "TooLong": { "limit": limit, "max": max } });
    let bytes = "x".repeat(Text::INSERT_BYTES_MAX as usize + 1);
    room.cannot(insert(BOB, 0, &Value::Null, &bytes), too_long("InsertBytes", Text::INSERT_BYTES_MAX));
    let ranges = vec![range(ADA, 0, 1); Text::RANGES_MAX as usize + 1];
    room.cannot(json!({ "Delete": { "ranges": ranges } }), too_long("Ranges", Text::RANGES_MAX));
    let name = "x".repeat(Text::MARK_NAME_BYTES_MAX as usize + 1);
    let mark = json!({ "Mark": { "ranges": [range(ADA, 0, 1)], "mark": name, "value": "true" } });
    room.cannot(mark, too_long("MarkNameBytes", Text::MARK_NAME_BYTES_MAX));
}

#[test]
fn the_document_has_a_title() {
    let mut room = Room::of_ada("here");
    assert_eq!(room.tries(&json!({ "Title": { "Replace": "Minutes" } })), Ok(()));
    let view: Value = serde_json::from_str(&contract::view(&room.document).unwrap()).unwrap();
    assert_eq!((&view["title"], &view["body"]["text"]), (&json!("Minutes"), &json!("here")));
}

#[test]
fn a_snapshot_restores_the_very_document() {
    let mut room = Room::of_ada("here and gone");
    room.does(json!({ "Delete": { "ranges": [range(ADA, 4, 9)] } }));
    let snapshot = contract::snapshot(&room.document).unwrap();
    let restored: Machine = contract::restore(&snapshot, 2).unwrap();
    assert_eq!(restored, room.document);
    assert_eq!(contract::snapshot(&restored).unwrap(), snapshot);
}

#[test]
fn an_id_is_theirs_who_used_it_first() {
    let mut room = Room::of_ada("mine");
    let forged = json!({ "Body": insert(ADA, 4, &char(ADA, 3), ", says Bob") });
    let last = json!({ "Body": insert(ADA, u32::MAX - 1, &Value::Null, "!") });
    for transition in [forged, last] {
        assert_eq!(room.tries_as("bob", &transition), Err(json!({ "NotYourId": ADA })));
    }
    // Everyone may edit Ada's text; Bob writes into it under an id of his own.
    let delete = json!({ "Body": { "Delete": { "ranges": [range(ADA, 0, 2)] } } });
    assert_eq!(room.tries_as("bob", &delete), Ok(()));
    assert_eq!(room.tries_as("bob", &json!({ "Body": insert(BOB, 0, &Value::Null, "fi") })), Ok(()));
    assert_eq!(room.tries(&json!({ "Body": insert(BOB, 2, &char(BOB, 1), "x") })), Err(json!({ "NotYourId": BOB })));
    room.does(insert(ADA, 4, &char(ADA, 3), "!"));
    assert_eq!(room.body()["text"], "fine!");
    // An insert that conflicts does not claim an id.
    let nowhere = json!({ "Body": insert("00000000-0000-0000-0000-00000000000c", 0, &char(BOB, 99), "x") });
    assert!(room.tries_as("bob", &nowhere).is_err());
    let carl = json!({ "Body": insert("00000000-0000-0000-0000-00000000000c", 0, &Value::Null, "x") });
    assert_eq!(room.tries_as("carl", &carl), Ok(()));
    let snapshot = contract::snapshot(&room.document).unwrap();
    assert_eq!(contract::restore::<Machine>(&snapshot, 2), Ok(room.document));
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
