//! The board: where discs fall, and when four of them stand in a line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Seat;

/// Rows of the board.
pub const ROWS: usize = 6;

/// Columns of the board.
pub const COLUMNS: usize = 7;

/// Row and column, from 0. Row 0 is the top one.
pub type Place = (u8, u8);

/// The discs, row by row from the top.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Board([[Option<Seat>; COLUMNS]; ROWS]);

/// The ways in which a line can run: down, right, and the two diagonals.
const DIRECTIONS: [(i8, i8); 4] = [(1, 0), (0, 1), (1, 1), (1, -1)];

impl Board {
    /// Whose disc lies at a place; nobody's, where the board does not reach.
    #[must_use]
    pub fn disc(&self, (row, column): Place) -> Option<Seat> {
        *self.0.get(usize::from(row))?.get(usize::from(column))?
    }

    /// Where a disc comes to rest that is dropped into a column; nowhere, if the column is full.
    #[must_use]
    pub fn rest(&self, column: u8) -> Option<Place> {
        let rows = (0..ROWS as u8).rev();
        rows.map(|row| (row, column)).find(|place| self.disc(*place).is_none())
    }

    /// The board with one more disc. A place beyond the board changes nothing.
    #[must_use]
    pub fn with(&self, (row, column): Place, seat: Seat) -> Self {
        let mut board = self.clone();
        let cell = board.0.get_mut(usize::from(row)).and_then(|row| row.get_mut(usize::from(column)));
        if let Some(cell) = cell {
            *cell = Some(seat);
        }
        board
    }

    /// Four discs of one seat in a line through a place.
    #[must_use]
    pub fn four_through(&self, place: Place) -> Option<[Place; 4]> {
        let seat = self.disc(place)?;
        DIRECTIONS
            .iter()
            .find_map(|direction| (-3..=0).find_map(|start| self.four_from(place, *direction, start, seat)))
    }

    /// Whether no disc fits any more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.iter().flatten().all(Option::is_some)
    }

    fn four_from(&self, place: Place, direction: (i8, i8), start: i8, seat: Seat) -> Option<[Place; 4]> {
        let mut line = [place; 4];
        for (steps, cell) in (start..).zip(&mut line) {
            *cell = walk(place, direction, steps).filter(|cell| self.disc(*cell) == Some(seat))?;
        }
        Some(line)
    }
}

fn walk((row, column): Place, (down, right): (i8, i8), steps: i8) -> Option<Place> {
    Some((row.checked_add_signed(down * steps)?, column.checked_add_signed(right * steps)?))
}
