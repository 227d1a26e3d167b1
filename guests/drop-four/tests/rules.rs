//! Every rule of the game, played through the contract: JSON in, JSON out, as a page does it.

use drop_four::DropFour;
use reapply_check::Room;
use reapply_guest::contract;
use serde_json::{Value, json};

type Table = Room<DropFour>;

fn table() -> Table {
    Room::new("")
}

/// Returns a table where ada has seat 0 and bob seat 1.
fn seated() -> Table {
    let mut table = table();
    table.does("ada", json!("Join"));
    table.does("bob", json!("Join"));
    table
}

/// Drops discs into columns in turn, ada's first.
fn play(table: &mut Table, columns: &[u8]) {
    for (author, column) in ["ada", "bob"].iter().cycle().zip(columns) {
        table.does(author, json!({ "Drop": column }));
    }
}

/// A game in which all 42 discs fall and nobody gets four in a line.
const DRAW: [u8; 42] = [
    0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 2, 3, 2, 3, 3, 2, 3, 2, 2, 3, 2, 3, 4, 5, 4, 5, 5, 4, 5, 4, 4, 5, 4, 5, 6, 6,
    6, 6, 6, 6,
];

#[test]
fn two_take_the_seats_and_others_look_on() {
    let mut table = table();
    assert_eq!(table.view()["players"], json!([null, null]));
    table.does("ada", json!("Join"));
    table.cannot("ada", json!("Join"), "AlreadySeated");
    table.cannot("ada", json!({ "Drop": 0 }), "WaitingForPlayers");
    table.does("bob", json!("Join"));
    table.cannot("eve", json!("Join"), "SeatTaken");
    assert_eq!(table.view()["players"], json!(["ada", "bob"]));
    for transition in [json!({ "Drop": 0 }), json!("Leave"), json!("Rematch")] {
        table.cannot("eve", transition, "NotPlaying");
    }
}

#[test]
fn players_take_turns() {
    let mut table = seated();
    assert_eq!(table.view()["turn"], 0);
    table.cannot("bob", json!({ "Drop": 0 }), "NotYourTurn");
    table.does("ada", json!({ "Drop": 0 }));
    assert_eq!(table.view()["turn"], 1);
    table.cannot("ada", json!({ "Drop": 0 }), "NotYourTurn");
    table.does("bob", json!({ "Drop": 0 }));
}

#[test]
fn discs_fall_to_the_lowest_empty_place_until_the_column_is_full() {
    let mut table = seated();
    for fallen in 0..6_u8 {
        let author = ["ada", "bob"][usize::from(fallen % 2)];
        table.does(author, json!({ "Drop": 3 }));
        let view = table.view();
        assert_eq!(view["last"], json!([5 - fallen, 3]));
        assert_eq!(view["board"][usize::from(5 - fallen)][3], fallen % 2);
    }
    table.cannot("ada", json!({ "Drop": 3 }), "ColumnFull");
    for column in [7, 255] {
        table.cannot("ada", json!({ "Drop": column }), "NoSuchColumn");
    }
}

#[test]
fn four_in_any_direction_win_and_end_the_game() {
    let cases: [(&str, &[u8], Value); 4] = [
        ("across", &[0, 0, 1, 1, 3, 3, 2], json!([[5, 0], [5, 1], [5, 2], [5, 3]])),
        ("down", &[6, 5, 6, 5, 6, 5, 6], json!([[2, 6], [3, 6], [4, 6], [5, 6]])),
        ("rising", &[3, 4, 4, 5, 5, 6, 5, 6, 6, 0, 6], json!([[2, 6], [3, 5], [4, 4], [5, 3]])),
        ("falling", &[3, 2, 2, 1, 1, 0, 1, 0, 0, 6, 0], json!([[2, 0], [3, 1], [4, 2], [5, 3]])),
    ];
    for (name, columns, line) in cases {
        let mut table = seated();
        let (last, before) = columns.split_last().unwrap();
        play(&mut table, before);
        assert_eq!((&table.view()["winner"], &table.view()["line"]), (&Value::Null, &json!([])), "{name}");
        table.does("ada", json!({ "Drop": last }));
        let view = table.view();
        assert_eq!((&view["winner"], &view["draw"]), (&json!(0), &json!(false)), "{name}");
        assert_eq!(sorted(&view["line"]), sorted(&line), "{name}");
        assert_eq!(view["score"], json!([1, 0]), "{name}");
        table.cannot("bob", json!({ "Drop": 6 }), "GameOver");
    }
}

#[test]
fn of_five_in_a_line_the_view_shows_four() {
    let mut table = seated();
    play(&mut table, &[0, 0, 1, 1, 3, 3, 4, 4, 2]);
    assert_eq!(table.view()["winner"], 0);
    let line = sorted(&table.view()["line"]);
    assert_eq!(line.len(), 4);
    assert!(line.contains(&"[5,2]".to_owned()), "it goes through the last disc: {line:?}");
}

#[test]
fn lines_do_not_wrap_around_the_edges() {
    let mut table = seated();
    play(&mut table, &[4, 4, 5, 5, 6, 6]);
    table.does("ada", json!({ "Drop": 0 }));
    assert_eq!(table.view()["winner"], Value::Null);
}

#[test]
fn a_full_board_without_a_line_is_a_draw() {
    let mut table = seated();
    play(&mut table, &DRAW[..41]);
    assert_eq!(table.view()["draw"], false);
    table.does("bob", json!({ "Drop": DRAW[41] }));
    let view = table.view();
    assert_eq!((&view["draw"], &view["winner"], &view["score"]), (&json!(true), &Value::Null, &json!([0, 0])));
    table.cannot("ada", json!({ "Drop": 0 }), "GameOver");
}

#[test]
fn the_loser_begins_the_rematch_and_the_score_goes_on() {
    let mut table = seated();
    table.cannot("ada", json!("Rematch"), "GameNotOver");
    play(&mut table, &[6, 5, 6, 5, 6, 5, 6]);
    table.does("ada", json!("Rematch"));
    let view = table.view();
    assert_eq!((&view["turn"], &view["winner"], &view["last"]), (&json!(1), &Value::Null, &Value::Null));
    assert_eq!((&view["line"], &view["score"]), (&json!([]), &json!([1, 0])));
    assert!(
        view["board"].as_array().unwrap().iter().all(|row| *row == json!([null, null, null, null, null, null, null]))
    );
    table.cannot("ada", json!({ "Drop": 0 }), "NotYourTurn");
    table.does("bob", json!({ "Drop": 0 }));
}

#[test]
fn after_a_draw_the_other_one_begins() {
    let mut table = seated();
    play(&mut table, &DRAW);
    table.does("bob", json!("Rematch"));
    assert_eq!(table.view()["turn"], 1);
}

#[test]
fn leaving_frees_the_seat_and_ends_game_and_score() {
    let mut table = seated();
    play(&mut table, &[6, 5, 6, 5, 6, 5, 6]);
    table.does("ada", json!("Leave"));
    let view = table.view();
    assert_eq!((&view["players"], &view["score"]), (&json!([null, "bob"]), &json!([0, 0])));
    assert_eq!((&view["winner"], &view["turn"]), (&Value::Null, &json!(0)));
    table.cannot("ada", json!("Leave"), "NotPlaying");
    table.does("eve", json!("Join"));
    assert_eq!(table.view()["players"], json!(["eve", "bob"]));
    table.does("eve", json!({ "Drop": 0 }));
}

#[test]
fn a_snapshot_restores_the_very_game() {
    let mut table = seated();
    play(&mut table, &DRAW[..17]);
    table.restores();
}

#[test]
fn damaged_snapshots_restore_to_nothing_or_to_a_state_that_plays_on() {
    let mut table = seated();
    play(&mut table, &DRAW[..17]);
    let snapshot = contract::snapshot(table.state()).unwrap();
    for bit in 0..snapshot.len() * 8 {
        let mut damaged = snapshot.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let Ok(state) = contract::restore(&damaged, 1) else { continue };
        let mut table = Table::of(state);
        table.view();
        for column in 0..9 {
            // Whatever the result is, it must not panic.
            let _ = table.tries("ada", &json!({ "Drop": column }));
            let _ = table.tries("bob", &json!({ "Drop": column }));
        }
    }
}

fn sorted(line: &Value) -> Vec<String> {
    let mut places: Vec<String> = line.as_array().unwrap().iter().map(Value::to_string).collect();
    places.sort();
    places
}
