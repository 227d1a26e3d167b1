//! The behaviour of the list, through the contract: JSON in, JSON out, as a page does it.

use reapply_check::Room;
use serde_json::{Value, json};
use todo::Todo;

const MILK: &str = "00000000-0000-0000-0000-000000000001";
const BREAD: &str = "00000000-0000-0000-0000-000000000002";
const TEA: &str = "00000000-0000-0000-0000-000000000003";

/// A room with a list, which ada edits.
struct List(Room<Todo>);

impl List {
    /// Returns a list of milk, bread and tea.
    fn new() -> Self {
        let mut list = Self(Room::new(""));
        for (id, label) in [(MILK, "milk"), (BREAD, "bread"), (TEA, "tea")] {
            list.does(json!({ "Insert": { "id": id, "place": "Last", "item": { "label": label, "done": false } } }));
        }
        list
    }

    /// Applies a transition of the items.
    fn does(&mut self, items: Value) {
        self.0.does("ada", json!({ "Items": items }));
    }

    /// Expects a conflict that leaves the list alone.
    fn cannot(&mut self, items: Value, conflict: Value) {
        self.0.cannot("ada", json!({ "Items": items }), json!({ "Items": conflict }));
    }

    /// Returns the labels in order, with a tick on those that are done.
    fn shown(&self) -> Vec<String> {
        let view = self.0.view();
        let items = view["items"].as_array().unwrap().iter().map(|entry| &entry["item"]);
        items
            .map(|item| format!("{}{}", item["label"].as_str().unwrap(), if item["done"] == true { " ✓" } else { "" }))
            .collect()
    }
}

#[test]
fn items_are_added_ticked_renamed_moved_and_deleted() {
    let mut list = List::new();
    assert_eq!(list.shown(), ["milk", "bread", "tea"]);
    list.does(json!({ "Item": [MILK, { "Done": { "Replace": true } }] }));
    list.does(json!({ "Item": [BREAD, { "Label": { "Replace": "rye bread" } }] }));
    assert_eq!(list.shown(), ["milk ✓", "rye bread", "tea"]);
    list.does(json!({ "Move": { "id": TEA, "place": { "Between": [MILK, BREAD] } } }));
    list.does(json!({ "Move": { "id": MILK, "place": "Last" } }));
    assert_eq!(list.shown(), ["tea", "rye bread", "milk ✓"]);
    list.does(json!({ "Delete": MILK }));
    list.does(json!({ "Item": [TEA, { "Done": { "Replace": true } }] }));
    list.does(json!({ "Item": [TEA, { "Done": { "Replace": false } }] }));
    assert_eq!(list.shown(), ["tea", "rye bread"]);
}

#[test]
fn the_list_has_a_title() {
    let mut list = List::new();
    assert_eq!(list.0.view()["title"], "");
    list.0.does("ada", json!({ "Title": { "Replace": "Shopping" } }));
    assert_eq!(list.0.view()["title"], "Shopping");
    assert_eq!(list.shown().len(), 3);
}

#[test]
fn what_is_gone_is_a_conflict_that_names_it() {
    let mut list = List::new();
    list.does(json!({ "Delete": BREAD }));
    let gone = json!({ "NoSuchItem": BREAD });
    list.cannot(json!({ "Delete": BREAD }), gone.clone());
    list.cannot(json!({ "Item": [BREAD, { "Done": { "Replace": true } }] }), gone.clone());
    list.cannot(json!({ "Item": [BREAD, { "Label": { "Replace": "cake" } }] }), gone.clone());
    list.cannot(json!({ "Move": { "id": BREAD, "place": "First" } }), gone.clone());
    for place in [json!({ "After": BREAD }), json!({ "Before": BREAD })] {
        list.cannot(json!({ "Move": { "id": MILK, "place": place } }), gone.clone());
    }
    // Between two items, one of which still exists, there is still a place.
    list.does(json!({ "Move": { "id": TEA, "place": { "Between": [BREAD, MILK] } } }));
    assert_eq!(list.shown(), ["tea", "milk"]);
}

#[test]
fn an_id_names_one_item_only() {
    let mut list = List::new();
    let insert = json!({ "Insert": { "id": TEA, "place": "First", "item": { "label": "coffee", "done": false } } });
    list.cannot(insert.clone(), json!({ "IdTaken": TEA }));
    list.does(json!({ "Delete": TEA }));
    list.does(insert);
    assert_eq!(list.shown(), ["coffee", "milk", "bread"]);
}

#[test]
fn a_snapshot_restores_the_very_list() {
    let mut list = List::new();
    list.does(json!({ "Item": [MILK, { "Done": { "Replace": true } }] }));
    list.0.restores();
}
