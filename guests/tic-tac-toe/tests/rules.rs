//! Every rule of the game, played through the contract: JSON in, JSON out, as a page does it.

use reapply_guest::contract::{self, Event, Input, Rejection, Submission};
use serde_json::{Value, json};
use tic_tac_toe::TicTacToe;

/// A room's table: its state, and the events so far.
struct Table {
    game: TicTacToe,
    seq: u64,
}

impl Table {
    fn new() -> Self {
        Self { game: contract::create("").unwrap(), seq: 0 }
    }

    /// Returns a table where ada plays the cross and bob the nought.
    fn seated() -> Self {
        let mut table = Self::new();
        table.does("ada", json!("Join"));
        table.does("bob", json!("Join"));
        table
    }

    fn tries(&mut self, author: &str, transition: &Value) -> Result<(), Value> {
        let transition = contract::encode::<TicTacToe>(&transition.to_string()).unwrap();
        let input = Input::Transition(Submission { author: author.to_owned(), transition });
        let event = Event { seq: self.seq + 1, time: 0, entropy: 0, input };
        self.game = contract::apply(&self.game, event).map_err(|rejection| match rejection {
            Rejection::Conflict(conflict) => serde_json::from_str::<Value>(&conflict).unwrap(),
            Rejection::Malformed(what) => panic!("{what}"),
        })?;
        self.seq += 1;
        Ok(())
    }

    fn does(&mut self, author: &str, transition: Value) {
        assert_eq!(self.tries(author, &transition), Ok(()), "{author} {transition}");
    }

    /// Expects a conflict that leaves the state alone.
    fn cannot(&mut self, author: &str, transition: Value, conflict: Value) {
        let before = self.game.clone();
        assert_eq!(self.tries(author, &transition), Err(conflict), "{author} {transition}");
        assert_eq!(self.game, before);
    }

    /// Plays cells in turn, beginning with this player.
    fn play(&mut self, beginner: &str, cells: &[u8]) {
        let others = ["ada", "bob"].iter().cycle().skip_while(|name| **name != beginner);
        for (author, cell) in others.zip(cells) {
            self.does(author, json!({ "Play": cell }));
        }
    }

    fn view(&self) -> Value {
        serde_json::from_str(&contract::view(&self.game).unwrap()).unwrap()
    }
}

/// A game in which all cells are filled and nobody gets three in a line.
const DRAW: [u8; 9] = [0, 1, 2, 4, 3, 5, 7, 6, 8];

fn empty_board() -> Value {
    Value::Array(vec![Value::Null; 9])
}

#[test]
fn two_take_the_seats_and_others_look_on() {
    let mut table = Table::new();
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
    let mut table = Table::seated();
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
    let mut table = Table::seated();
    for cell in [9, 10, 255] {
        table.cannot("ada", json!({ "Play": cell }), json!({ "NoSuchCell": cell }));
    }
    table.does("ada", json!({ "Play": 8 }));
}

#[test]
fn every_line_wins_and_ends_the_game() {
    let lines: [[u8; 3]; 8] = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];
    for line in lines {
        let mut table = Table::seated();
        let elsewhere: Vec<u8> = (0..9).filter(|cell| !line.contains(cell)).collect();
        let [a, b, c] = line;
        table.play("ada", &[a, elsewhere[0], b, elsewhere[1]]);
        assert_eq!((&table.view()["winner"], &table.view()["line"]), (&Value::Null, &json!([])), "{line:?}");
        table.does("ada", json!({ "Play": c }));
        let view = table.view();
        assert_eq!((&view["winner"], &view["line"], &view["draw"]), (&json!("X"), &json!(line), &json!(false)));
        table.cannot("bob", json!({ "Play": elsewhere[2] }), json!("GameOver"));
    }
}

#[test]
fn a_full_board_without_a_line_is_a_draw() {
    let mut table = Table::seated();
    table.play("ada", &DRAW[..8]);
    assert_eq!(table.view()["draw"], false);
    table.does("ada", json!({ "Play": DRAW[8] }));
    assert_eq!((&table.view()["draw"], &table.view()["winner"]), (&json!(true), &Value::Null));
    table.cannot("bob", json!({ "Play": 0 }), json!("GameOver"));
}

#[test]
fn the_last_cell_may_win() {
    let mut table = Table::seated();
    table.play("ada", &[0, 1, 2, 3, 4, 6, 5, 7, 8]);
    assert_eq!((&table.view()["winner"], &table.view()["draw"]), (&json!("X"), &json!(false)));
}

#[test]
fn players_take_turns_at_beginning_too() {
    let mut table = Table::seated();
    table.cannot("ada", json!("Rematch"), json!("GameNotOver"));
    table.play("ada", &DRAW);
    table.does("ada", json!("Rematch"));
    assert_eq!((&table.view()["turn"], &table.view()["board"]), (&json!("O"), &empty_board()));
    table.cannot("ada", json!({ "Play": 0 }), json!("NotYourTurn"));
    table.play("bob", &[0, 3, 1, 4, 2]);
    assert_eq!(table.view()["winner"], "O");
    table.does("ada", json!("Rematch"));
    assert_eq!(table.view()["turn"], "X");
}

#[test]
fn leaving_frees_the_seat_and_ends_the_game() {
    let mut table = Table::seated();
    table.play("ada", &DRAW[..5]);
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
    let mut table = Table::seated();
    table.play("ada", &DRAW[..6]);
    let snapshot = contract::snapshot(&table.game).unwrap();
    let restored: TicTacToe = contract::restore(&snapshot, 1).unwrap();
    assert_eq!(restored, table.game);
    assert_eq!(contract::snapshot(&restored).unwrap(), snapshot);
}
