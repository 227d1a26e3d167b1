//! Every rule of the game, played through the contract: JSON in, JSON out, as a page does it.

use reapply_check::Room;
use serde_json::{Value, json};
use tic_tac_toe::TicTacToe;

type Table = Room<TicTacToe>;

fn table() -> Table {
    Room::new("")
}

/// Returns a table where ada plays the cross and bob the nought.
fn seated() -> Table {
    let mut table = table();
    table.does("ada", json!("Join"));
    table.does("bob", json!("Join"));
    table
}

/// Plays cells in turn, beginning with this player.
fn play(table: &mut Table, beginner: &str, cells: &[u8]) {
    let others = ["ada", "bob"].iter().cycle().skip_while(|name| **name != beginner);
    for (author, cell) in others.zip(cells) {
        table.does(author, json!({ "Play": cell }));
    }
}

/// A game in which all cells are filled and nobody gets three in a line.
const DRAW: [u8; 9] = [0, 1, 2, 4, 3, 5, 7, 6, 8];

fn empty_board() -> Value {
    Value::Array(vec![Value::Null; 9])
}

#[test]
fn two_take_the_seats_and_others_look_on() {
    let mut table = table();
    assert_eq!(table.view()["players"], json!({ "X": null, "O": null }));
    table.does("ada", json!("Join"));
    table.cannot("ada", json!("Join"), json!("AlreadySeated"));
    table.cannot("ada", json!({ "Play": 4 }), json!("WaitingForPlayers"));
    table.does("bob", json!("Join"));
    table.cannot("eve", json!("Join"), json!("SeatTaken"));
    assert_eq!(table.view()["players"], json!({ "X": "ada", "O": "bob" }));
    for transition in [json!({ "Play": 0 }), json!("Leave"), json!("Rematch")] {
        table.cannot("eve", transition, json!("NotPlaying"));
    }
}

#[test]
fn players_take_turns_and_marks_stay() {
    let mut table = seated();
    table.cannot("bob", json!({ "Play": 0 }), json!("NotYourTurn"));
    table.does("ada", json!({ "Play": 4 }));
    assert_eq!(table.view()["turn"], "O");
    table.cannot("ada", json!({ "Play": 0 }), json!("NotYourTurn"));
    table.cannot("bob", json!({ "Play": 4 }), json!({ "CellTaken": 4 }));
    table.does("bob", json!({ "Play": 0 }));
    assert_eq!(table.view()["board"], json!(["O", null, null, null, "X", null, null, null, null]));
}

#[test]
fn a_play_beyond_the_board_is_a_conflict() {
    let mut table = seated();
    for cell in [9, 10, 255] {
        table.cannot("ada", json!({ "Play": cell }), json!({ "NoSuchCell": cell }));
    }
    table.does("ada", json!({ "Play": 8 }));
}

#[test]
fn every_line_wins_and_ends_the_game() {
    let lines: [[u8; 3]; 8] = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];
    for line in lines {
        let mut table = seated();
        let elsewhere: Vec<u8> = (0..9).filter(|cell| !line.contains(cell)).collect();
        let [a, b, c] = line;
        play(&mut table, "ada", &[a, elsewhere[0], b, elsewhere[1]]);
        assert_eq!((&table.view()["winner"], &table.view()["line"]), (&Value::Null, &json!([])), "{line:?}");
        table.does("ada", json!({ "Play": c }));
        let view = table.view();
        assert_eq!((&view["winner"], &view["line"], &view["draw"]), (&json!("X"), &json!(line), &json!(false)));
        table.cannot("bob", json!({ "Play": elsewhere[2] }), json!("GameOver"));
    }
}

#[test]
fn a_full_board_without_a_line_is_a_draw() {
    let mut table = seated();
    play(&mut table, "ada", &DRAW[..8]);
    assert_eq!(table.view()["draw"], false);
    table.does("ada", json!({ "Play": DRAW[8] }));
    assert_eq!((&table.view()["draw"], &table.view()["winner"]), (&json!(true), &Value::Null));
    table.cannot("bob", json!({ "Play": 0 }), json!("GameOver"));
}

#[test]
fn the_last_cell_may_win() {
    let mut table = seated();
    play(&mut table, "ada", &[0, 1, 2, 3, 4, 6, 5, 7, 8]);
    assert_eq!((&table.view()["winner"], &table.view()["draw"]), (&json!("X"), &json!(false)));
}

#[test]
fn players_take_turns_at_beginning_too() {
    let mut table = seated();
    table.cannot("ada", json!("Rematch"), json!("GameNotOver"));
    play(&mut table, "ada", &DRAW);
    table.does("ada", json!("Rematch"));
    assert_eq!((&table.view()["turn"], &table.view()["board"]), (&json!("O"), &empty_board()));
    table.cannot("ada", json!({ "Play": 0 }), json!("NotYourTurn"));
    play(&mut table, "bob", &[0, 3, 1, 4, 2]);
    assert_eq!(table.view()["winner"], "O");
    table.does("ada", json!("Rematch"));
    assert_eq!(table.view()["turn"], "X");
}

#[test]
fn leaving_frees_the_seat_and_ends_the_game() {
    let mut table = seated();
    play(&mut table, "ada", &DRAW[..5]);
    table.does("ada", json!("Leave"));
    let view = table.view();
    assert_eq!((&view["players"], &view["board"]), (&json!({ "X": null, "O": "bob" }), &empty_board()));
    table.cannot("ada", json!("Leave"), json!("NotPlaying"));
    table.does("eve", json!("Join"));
    table.does("bob", json!("Leave"));
    assert_eq!(table.view()["players"], json!({ "X": "eve", "O": null }));
}

#[test]
fn a_snapshot_restores_the_very_game() {
    let mut table = seated();
    play(&mut table, "ada", &DRAW[..6]);
    table.restores();
}
