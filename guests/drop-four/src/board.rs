//! The board: the places where discs fall, and lines of four.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::seat::Seat;

/// The number of rows.
pub const ROWS: usize = 6;

/// The number of columns.
pub const COLUMNS: usize = 7;

/// The row and the column, from 0. Row 0 is at the top.
pub type Place = (u8, u8);

/// The discs, row by row from the top.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Board([[Option<Seat>; COLUMNS]; ROWS]);

/// The directions of a line: down, right, and the two diagonals.
const DIRECTIONS: [(i8, i8); 4] = [(1, 0), (0, 1), (1, 1), (1, -1)];

impl Board {
    /// Returns the owner of the disc at a place; `None` if there is none, or the place is outside the board.
    #[must_use]
    pub fn disc(&self, (row, column): Place) -> Option<Seat> {
        *self.0.get(usize::from(row))?.get(usize::from(column))?
    }

    /// Returns the place where a disc dropped into a column comes to rest; `None` if the column is full.
    #[must_use]
    pub fn rest(&self, column: u8) -> Option<Place> {
        let rows = (0..ROWS as u8).rev();
        rows.map(|row| (row, column)).find(|place| self.disc(*place).is_none())
    }

    /// Returns the board with one more disc. A place outside the board changes nothing.
    #[must_use]
    pub fn with(&self, (row, column): Place, seat: Seat) -> Self {
        let mut board = self.clone();
        let cell = board.0.get_mut(usize::from(row)).and_then(|row| row.get_mut(usize::from(column)));
        if let Some(cell) = cell {
            *cell = Some(seat);
        }
        board
    }

    /// Returns four discs of one seat in a line through a place.
    #[must_use]
    pub fn four_through(&self, place: Place) -> Option<[Place; 4]> {
        let seat = self.disc(place)?;
        DIRECTIONS
            .iter()
            .find_map(|direction| (-3..=0).find_map(|start| self.four_from(place, *direction, start, seat)))
    }

    /// Returns whether the board is full.
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
