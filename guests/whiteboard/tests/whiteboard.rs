//! Every rule of the board, through the contract: JSON in, JSON out, as a page does it.

use reapply_check::Room;
use serde_json::{Value, json};
use whiteboard::{
    HEIGHT, POINTS_MAX, STROKE_POINTS_MAX, STROKE_WIDTH_MAX, STROKE_WIDTH_MIN, STROKES_MAX, WIDTH, Whiteboard,
};

fn board() -> Room<Whiteboard> {
    Room::new("")
}

/// Returns the strokes from the bottom up, as pages see them.
fn shown(room: &Room<Whiteboard>) -> Value {
    room.view()["strokes"].take()
}

/// Returns the strokes from the bottom up: the author and the number of points of each.
fn strokes(room: &Room<Whiteboard>) -> Vec<(String, usize)> {
    let strokes = shown(room);
    let strokes = strokes.as_array().unwrap().iter().map(|entry| &entry["item"]);
    strokes
        .map(|stroke| (stroke["author"].as_str().unwrap().to_owned(), stroke["points"].as_array().unwrap().len()))
        .collect()
}

fn id(number: u32) -> String {
    format!("00000000-0000-0000-0000-{number:012x}")
}

fn start(number: u32, points: &Value) -> Value {
    json!({ "Start": { "id": id(number), "ink": "Green", "width": 12, "points": points } })
}

fn extend(number: u32, points: &Value) -> Value {
    json!({ "Extend": { "id": id(number), "points": points } })
}

fn many(points: u32) -> Value {
    json!(vec![[7, 7]; points as usize])
}

#[test]
fn a_stroke_is_started_and_extended() {
    let mut room = board();
    room.does("ada", start(1, &json!([[0, 0], [10, 20]])));
    room.does("bob", start(2, &json!([[5, 5]])));
    room.does("ada", extend(1, &json!([[WIDTH - 1, HEIGHT - 1]])));
    let item =
        json!({ "author": "ada", "ink": "Green", "width": 12, "points": [[0, 0], [10, 20], [WIDTH - 1, HEIGHT - 1]] });
    assert_eq!(shown(&room)[0], json!({ "id": id(1), "item": item }));
    assert_eq!(strokes(&room)[1], ("bob".to_owned(), 1));
}

#[test]
fn undoing_takes_ones_own_last_stroke_and_nobody_elses() {
    let mut room = board();
    room.cannot("ada", json!("Undo"), json!("NothingToUndo"));
    for (number, author) in [(1, "ada"), (2, "ada"), (3, "bob")] {
        room.does(author, start(number, &many(number)));
    }
    room.does("ada", json!("Undo"));
    assert_eq!(strokes(&room), [("ada".to_owned(), 1), ("bob".to_owned(), 3)]);
    room.does("ada", json!("Undo"));
    room.cannot("ada", json!("Undo"), json!("NothingToUndo"));
    assert_eq!(strokes(&room), [("bob".to_owned(), 3)]);
}

#[test]
fn clearing_takes_everything_and_ends_what_was_being_drawn() {
    let mut room = board();
    room.cannot("ada", json!("Clear"), json!("NothingToClear"));
    room.does("ada", start(1, &many(1)));
    room.does("bob", json!("Clear"));
    assert_eq!(strokes(&room), []);
    room.cannot("ada", extend(1, &many(1)), json!({ "NoSuchStroke": id(1) }));
}

#[test]
fn only_its_author_extends_a_stroke() {
    let mut room = board();
    room.does("ada", start(1, &many(1)));
    room.cannot("bob", extend(1, &many(1)), json!({ "NotYourStroke": id(1) }));
    room.cannot("bob", start(1, &many(1)), json!({ "IdTaken": id(1) }));
}

#[test]
fn what_is_no_stroke_is_a_conflict() {
    let mut room = board();
    room.does("ada", start(1, &many(1)));
    let off = json!({ "OffTheBoard": { "width": WIDTH, "height": HEIGHT } });
    for points in [json!([[WIDTH, 0]]), json!([[0, 0], [0, HEIGHT]]), json!([[u16::MAX, u16::MAX]])] {
        room.cannot("ada", start(2, &points), off.clone());
        room.cannot("ada", extend(1, &points), off.clone());
    }
    room.cannot("ada", start(2, &json!([])), json!("NoPoints"));
    room.cannot("ada", extend(1, &json!([])), json!("NoPoints"));
    for width in [0, STROKE_WIDTH_MIN - 1, STROKE_WIDTH_MAX + 1] {
        let start = json!({ "Start": { "id": id(2), "ink": "Red", "width": width, "points": [[1, 1]] } });
        let range = json!({ "min": STROKE_WIDTH_MIN, "max": STROKE_WIDTH_MAX });
        room.cannot("ada", start, json!({ "WidthOutOfRange": range }));
    }
}

#[test]
fn a_stroke_has_room_for_so_many_points() {
    let mut room = board();
    let full = json!({ "StrokeFull": { "points_max": STROKE_POINTS_MAX } });
    room.cannot("ada", start(1, &many(STROKE_POINTS_MAX + 1)), full.clone());
    room.does("ada", start(1, &many(STROKE_POINTS_MAX - 1)));
    room.cannot("ada", extend(1, &many(2)), full.clone());
    room.does("ada", extend(1, &many(1)));
    room.cannot("ada", extend(1, &many(1)), full);
}

#[test]
fn a_board_has_room_for_so_many_points_and_strokes() {
    let full = json!({ "BoardFull": { "strokes_max": STROKES_MAX, "points_max": POINTS_MAX } });
    let mut room = board();
    let strokes = POINTS_MAX / STROKE_POINTS_MAX;
    for number in 0..strokes {
        room.does("ada", start(number, &many(STROKE_POINTS_MAX - 1)));
    }
    room.does("ada", start(strokes, &many(strokes)));
    room.cannot("ada", start(strokes + 1, &many(1)), full.clone());
    room.cannot("ada", extend(0, &many(1)), full.clone());
    room.does("ada", json!("Undo"));
    room.does("ada", extend(0, &many(1)));

    let mut room = board();
    for number in 0..STROKES_MAX {
        room.does("ada", start(number, &many(1)));
    }
    room.cannot("ada", start(STROKES_MAX, &many(1)), full);
    room.does("ada", extend(0, &many(1)));
}

#[test]
fn a_snapshot_restores_the_very_board() {
    let mut room = board();
    room.does("ada", start(1, &json!([[0, 0], [4095, 3071]])));
    room.restores();
}
