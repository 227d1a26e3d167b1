//! Four in a row for two: discs fall down the columns of an upright board, and whoever gets four in a line wins.
//!
//! Anyone may take an empty seat. The event says who sent a transition; a transition never names a player.

mod board;
mod seat;

use reapply_guest::{Event, Input, NoOptions, Program, export};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use board::{Board, COLUMNS, Place, ROWS};
pub use seat::Seat;

/// A room's game, and the number of wins of each seat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DropFour {
    players: [Option<String>; 2],
    board: Board,
    turn: Seat,
    last: Option<Place>,
    score: [u32; 2],
}

/// The transitions of participants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Transition {
    /// Take an empty seat.
    Join,
    /// Give up the seat, and with it the game and the score.
    Leave,
    /// Drop a disc into a column, counted from 0.
    Drop(u8),
    /// Play again. The loser begins; after a draw, the player begins who did not begin before.
    Rematch,
}

/// The conflicts of the game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Conflict {
    /// Both seats are taken.
    SeatTaken,
    /// The sender has a seat already.
    AlreadySeated,
    /// The sender has no seat.
    NotPlaying,
    /// The other seat is empty.
    WaitingForPlayers,
    /// It is the other player's turn.
    NotYourTurn,
    /// The board has no such column.
    NoSuchColumn,
    /// That column is full.
    ColumnFull,
    /// The game has ended; a rematch begins the next one.
    GameOver,
    /// The game has not ended.
    GameNotOver,
}

/// The data for a user interface.
#[derive(Serialize, JsonSchema)]
struct View<'a> {
    /// The discs by their seats, row by row from the top.
    board: &'a Board,
    /// The players, by seat.
    players: &'a [Option<String>; 2],
    /// The seat whose turn it is.
    turn: Seat,
    /// The seat that has won this game.
    winner: Option<Seat>,
    /// Whether this game ended in a draw.
    draw: bool,
    /// The four winning places as row and column; empty before the end.
    line: Vec<Place>,
    /// The place where the last disc came to rest.
    last: Option<Place>,
    /// The number of games won by each seat.
    score: [u32; 2],
}

impl Program for DropFour {
    type Options = NoOptions;
    type Transition = Transition;
    type Conflict = Conflict;

    fn apply(&self, event: &Event<Transition>) -> Result<Self, Conflict> {
        // The game sets no alarm and has no membership events: a player who loses the connection keeps the seat.
        let Input::Transition { author, transition } = &event.input else { return Ok(self.clone()) };
        match transition {
            Transition::Join => self.join(author),
            Transition::Leave => self.leave(author),
            Transition::Drop(column) => self.drop_disc(author, *column),
            Transition::Rematch => self.rematch(author),
        }
    }

    fn view(&self) -> impl Serialize + JsonSchema {
        let line = self.winning_line();
        View {
            board: &self.board,
            players: &self.players,
            turn: self.turn,
            winner: line.and_then(|[place, ..]| self.board.disc(place)),
            draw: line.is_none() && self.board.is_full(),
            line: line.map(Vec::from).unwrap_or_default(),
            last: self.last,
            score: self.score,
        }
    }
}

impl DropFour {
    fn join(&self, author: &str) -> Result<Self, Conflict> {
        if self.seat_of(author).is_ok() {
            return Err(Conflict::AlreadySeated);
        }
        let mut next = self.clone();
        let seat = next.players.iter_mut().find(|player| player.is_none()).ok_or(Conflict::SeatTaken)?;
        *seat = Some(author.to_owned());
        Ok(next)
    }

    fn leave(&self, author: &str) -> Result<Self, Conflict> {
        let seat = self.seat_of(author)?;
        let mut players = self.players.clone();
        players[seat.index()] = None;
        Ok(Self { players, ..Self::default() })
    }

    fn drop_disc(&self, author: &str, column: u8) -> Result<Self, Conflict> {
        let seat = self.seat_of(author)?;
        if self.players.contains(&None) {
            return Err(Conflict::WaitingForPlayers);
        }
        if self.is_over() {
            return Err(Conflict::GameOver);
        }
        if self.turn != seat {
            return Err(Conflict::NotYourTurn);
        }
        if usize::from(column) >= COLUMNS {
            return Err(Conflict::NoSuchColumn);
        }
        let place = self.board.rest(column).ok_or(Conflict::ColumnFull)?;
        let board = self.board.with(place, seat);
        let mut next = Self { board, turn: seat.other(), last: Some(place), ..self.clone() };
        if next.winning_line().is_some() {
            let wins = &mut next.score[seat.index()];
            *wins = wins.saturating_add(1);
        }
        Ok(next)
    }

    fn rematch(&self, author: &str) -> Result<Self, Conflict> {
        self.seat_of(author)?;
        if !self.is_over() {
            return Err(Conflict::GameNotOver);
        }
        // After the winner's last disc it is the loser's turn. The last disc of a draw is dropped by the player who did not begin.
        let turn = if self.winning_line().is_some() { self.turn } else { self.turn.other() };
        Ok(Self { board: Board::default(), turn, last: None, ..self.clone() })
    }

    fn seat_of(&self, author: &str) -> Result<Seat, Conflict> {
        let sits = |seat: &Seat| self.players[seat.index()].as_deref() == Some(author);
        [Seat::First, Seat::Second].into_iter().find(sits).ok_or(Conflict::NotPlaying)
    }

    fn is_over(&self) -> bool {
        self.winning_line().is_some() || self.board.is_full()
    }

    /// A line must go through the last disc, since the game ends with the first line.
    fn winning_line(&self) -> Option<[Place; 4]> {
        self.board.four_through(self.last?)
    }
}

export!(DropFour);
