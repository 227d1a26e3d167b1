//! Tic-tac-toe for two, and for any number of onlookers.
//!
//! It is the game of Aper's book, where a play outside the board panics. Here that is a conflict like any other:
//! the sender gets [`Conflict::NoSuchCell`], and the game goes on.

use reapply_guest::{Event, Input, NoOptions, Program, export};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of cells.
pub const CELLS: usize = 9;

/// The cells of winning lines: rows, columns and the two diagonals.
const LINES: [[u8; 3]; 8] = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];

/// A room's game.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TicTacToe {
    players: Players,
    board: Board,
    turn: Mark,
    /// The player who made the first move of this game; the other one begins the next.
    beginner: Mark,
}

/// The players, by mark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
struct Players {
    x: Option<String>,
    o: Option<String>,
}

/// The marks, row by row from the top left.
type Board = [Option<Mark>; CELLS];

/// The mark that a player puts into a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mark {
    /// The cross, which begins the first game.
    #[default]
    X,
    /// The nought.
    O,
}

/// The transitions of participants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = Transition::Play(4))]
pub enum Transition {
    /// Take an empty seat: the cross, if it is free.
    Join,
    /// Give up the seat, and with it the game.
    Leave,
    /// Put your mark into a cell, counted from 0, row by row from the top left.
    Play(u8),
    /// Clear the board for another game, which the other player begins.
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
    /// The board has no such cell.
    NoSuchCell(u8),
    /// There is a mark in that cell.
    CellTaken(u8),
    /// The game has ended; a rematch begins the next one.
    GameOver,
    /// The game has not ended.
    GameNotOver,
}

/// The data for a user interface.
#[derive(Serialize, JsonSchema)]
struct View<'a> {
    /// The marks, row by row from the top left.
    board: &'a Board,
    /// The players, by mark.
    players: &'a Players,
    /// The mark whose turn it is.
    turn: Mark,
    /// The mark that has won this game.
    winner: Option<Mark>,
    /// The three winning cells; empty before the end.
    line: Vec<u8>,
    /// Whether this game ended in a draw.
    draw: bool,
}

impl Program for TicTacToe {
    type Options = NoOptions;
    type Transition = Transition;
    type Conflict = Conflict;

    fn apply(&self, event: &Event<Transition>) -> Result<Self, Conflict> {
        // The game sets no alarm and has no membership events: a player who loses the connection keeps the seat.
        let Input::Transition { author, transition } = &event.input else { return Ok(self.clone()) };
        match transition {
            Transition::Join => self.join(author),
            Transition::Leave => self.leave(author),
            Transition::Play(cell) => self.play(author, *cell),
            Transition::Rematch => self.rematch(author),
        }
    }

    fn view(&self) -> impl Serialize + JsonSchema {
        let line = self.winning_line();
        View {
            board: &self.board,
            players: &self.players,
            turn: self.turn,
            winner: line.and_then(|[cell, ..]| self.mark(cell)),
            line: line.map(Vec::from).unwrap_or_default(),
            draw: line.is_none() && self.is_full(),
        }
    }
}

impl TicTacToe {
    fn join(&self, author: &str) -> Result<Self, Conflict> {
        if self.mark_of(author).is_ok() {
            return Err(Conflict::AlreadySeated);
        }
        let player = Some(author.to_owned());
        let players = match &self.players {
            Players { x: None, o } => Players { x: player, o: o.clone() },
            Players { x, o: None } => Players { x: x.clone(), o: player },
            _ => return Err(Conflict::SeatTaken),
        };
        Ok(Self { players, ..self.clone() })
    }

    fn leave(&self, author: &str) -> Result<Self, Conflict> {
        let players = match self.mark_of(author)? {
            Mark::X => Players { x: None, o: self.players.o.clone() },
            Mark::O => Players { x: self.players.x.clone(), o: None },
        };
        Ok(Self { players, ..Self::default() })
    }

    fn play(&self, author: &str, cell: u8) -> Result<Self, Conflict> {
        let mark = self.mark_of(author)?;
        if self.players.x.is_none() || self.players.o.is_none() {
            return Err(Conflict::WaitingForPlayers);
        }
        if self.is_over() {
            return Err(Conflict::GameOver);
        }
        if self.turn != mark {
            return Err(Conflict::NotYourTurn);
        }
        let mut next = Self { turn: mark.other(), ..self.clone() };
        match next.board.get_mut(usize::from(cell)) {
            None => Err(Conflict::NoSuchCell(cell)),
            Some(Some(_)) => Err(Conflict::CellTaken(cell)),
            Some(empty) => {
                *empty = Some(mark);
                Ok(next)
            }
        }
    }

    fn rematch(&self, author: &str) -> Result<Self, Conflict> {
        self.mark_of(author)?;
        if !self.is_over() {
            return Err(Conflict::GameNotOver);
        }
        let beginner = self.beginner.other();
        Ok(Self { players: self.players.clone(), turn: beginner, beginner, ..Self::default() })
    }

    fn mark_of(&self, author: &str) -> Result<Mark, Conflict> {
        let seats = [(Mark::X, &self.players.x), (Mark::O, &self.players.o)];
        let own = seats.into_iter().find(|(_, player)| player.as_deref() == Some(author));
        own.map(|(mark, _)| mark).ok_or(Conflict::NotPlaying)
    }

    fn is_over(&self) -> bool {
        self.winning_line().is_some() || self.is_full()
    }

    fn is_full(&self) -> bool {
        self.board.iter().all(Option::is_some)
    }

    fn winning_line(&self) -> Option<[u8; 3]> {
        let wins = |[a, b, c]: &[u8; 3]| {
            self.mark(*a).is_some() && self.mark(*a) == self.mark(*b) && self.mark(*b) == self.mark(*c)
        };
        LINES.into_iter().find(wins)
    }

    fn mark(&self, cell: u8) -> Option<Mark> {
        *self.board.get(usize::from(cell))?
    }
}

impl Mark {
    fn other(self) -> Self {
        match self {
            Self::X => Self::O,
            Self::O => Self::X,
        }
    }
}

export!(TicTacToe);
