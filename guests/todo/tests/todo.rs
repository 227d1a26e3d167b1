//! The behaviour of the list, through the contract: JSON in, JSON out, as a page does it.

use reapply_guest::contract::{self, Event, Input, Rejection, Submission};
use serde_json::{Value, json};
use todo::Todo;

const MILK: &str = "00000000-0000-0000-0000-000000000001";
const BREAD: &str = "00000000-0000-0000-0000-000000000002";
const TEA: &str = "00000000-0000-0000-0000-000000000003";

/// A room's list, and the events so far.
struct Room {
    todo: Todo,
    seq: u64,
}

impl Room {
    /// Returns a list of milk, bread and tea.
    fn new() -> Self {
        let mut room = Self { todo: contract::create("").unwrap(), seq: 0 };
        for (id, label) in [(MILK, "milk"), (BREAD, "bread"), (TEA, "tea")] {
            room.does(json!({ "Insert": { "id": id, "place": "Last", "item": { "label": label, "done": false } } }));
        }
        room
    }

    fn tries(&mut self, transition: &Value) -> Result<(), Value> {
        let transition = contract::encode::<Todo>(&transition.to_string()).unwrap();
        let input = Input::Transition(Submission { author: "ada".to_owned(), transition });
        let event = Event { seq: self.seq + 1, time: 0, entropy: 0, input };
        self.todo = contract::apply(&self.todo, event).map_err(|rejection| match rejection {
            Rejection::Conflict(conflict) => serde_json::from_str::<Value>(&conflict).unwrap(),
            Rejection::Malformed(what) => panic!("{what}"),
        })?;
        self.seq += 1;
        Ok(())
    }

    /// Applies a transition of the items.
    fn does(&mut self, items: Value) {
        assert_eq!(self.tries(&json!({ "Items": items })), Ok(()));
    }

    /// Expects a conflict that leaves the list alone.
    fn cannot(&mut self, items: Value, conflict: Value) {
        let before = self.todo.clone();
        assert_eq!(self.tries(&json!({ "Items": items })), Err(json!({ "Items": conflict })));
        assert_eq!(self.todo, before);
    }

    fn view(&self) -> Value {
        serde_json::from_str(&contract::view(&self.todo).unwrap()).unwrap()
    }

    /// Returns the labels in order, with a tick on those that are done.
    fn shown(&self) -> Vec<String> {
        let view = self.view();
        let items = view["items"].as_array().unwrap().iter().map(|entry| &entry["item"]);
        items
            .map(|item| format!("{}{}", item["label"].as_str().unwrap(), if item["done"] == true { " ✓" } else { "" }))
            .collect()
    }
}

#[test]
fn items_are_added_ticked_renamed_moved_and_deleted() {
    let mut room = Room::new();
    assert_eq!(room.shown(), ["milk", "bread", "tea"]);
    room.does(json!({ "Item": [MILK, { "Done": { "Replace": true } }] }));
    room.does(json!({ "Item": [BREAD, { "Label": { "Replace": "rye bread" } }] }));
    assert_eq!(room.shown(), ["milk ✓", "rye bread", "tea"]);
    room.does(json!({ "Move": { "id": TEA, "place": { "Between": [MILK, BREAD] } } }));
    room.does(json!({ "Move": { "id": MILK, "place": "Last" } }));
    assert_eq!(room.shown(), ["tea", "rye bread", "milk ✓"]);
    room.does(json!({ "Delete": MILK }));
    room.does(json!({ "Item": [TEA, { "Done": { "Replace": true } }] }));
    room.does(json!({ "Item": [TEA, { "Done": { "Replace": false } }] }));
    assert_eq!(room.shown(), ["tea", "rye bread"]);
}

#[test]
fn the_list_has_a_title() {
    let mut room = Room::new();
    assert_eq!(room.view()["title"], "");
    assert_eq!(room.tries(&json!({ "Title": { "Replace": "Shopping" } })), Ok(()));
    assert_eq!(room.view()["title"], "Shopping");
    assert_eq!(room.shown().len(), 3);
}

#[test]
fn what_is_gone_is_a_conflict_that_names_it() {
    let mut room = Room::new();
    room.does(json!({ "Delete": BREAD }));
    let gone = json!({ "NoSuchItem": BREAD });
    room.cannot(json!({ "Delete": BREAD }), gone.clone());
    room.cannot(json!({ "Item": [BREAD, { "Done": { "Replace": true } }] }), gone.clone());
    room.cannot(json!({ "Item": [BREAD, { "Label": { "Replace": "cake" } }] }), gone.clone());
    room.cannot(json!({ "Move": { "id": BREAD, "place": "First" } }), gone.clone());
    for place in [json!({ "After": BREAD }), json!({ "Before": BREAD })] {
        room.cannot(json!({ "Move": { "id": MILK, "place": place } }), gone.clone());
    }
    // Between two items, one of which still exists, there is still a place.
    room.does(json!({ "Move": { "id": TEA, "place": { "Between": [BREAD, MILK] } } }));
    assert_eq!(room.shown(), ["tea", "milk"]);
}

#[test]
fn an_id_names_one_item_only() {
    let mut room = Room::new();
    let insert = json!({ "Insert": { "id": TEA, "place": "First", "item": { "label": "coffee", "done": false } } });
    room.cannot(insert.clone(), json!({ "IdTaken": TEA }));
    room.does(json!({ "Delete": TEA }));
    room.does(insert);
    assert_eq!(room.shown(), ["coffee", "milk", "bread"]);
}

#[test]
fn a_snapshot_restores_the_very_list() {
    let mut room = Room::new();
    room.does(json!({ "Item": [MILK, { "Done": { "Replace": true } }] }));
    let snapshot = contract::snapshot(&room.todo).unwrap();
    let restored: Todo = contract::restore(&snapshot, 1).unwrap();
    assert_eq!(restored, room.todo);
    assert_eq!(contract::snapshot(&restored).unwrap(), snapshot);
}
