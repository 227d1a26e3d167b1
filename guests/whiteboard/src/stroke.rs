//! One stroke: a machine of its own, which only ever gets longer.

use reapply_guest::{AtomRc, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HEIGHT, STROKE_POINTS_MAX, STROKE_WIDTH_MAX, STROKE_WIDTH_MIN, WIDTH};

/// A line that somebody draws. What a transition adds to it are points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stroke {
    author: String,
    ink: Ink,
    width: u8,
    /// Shared with the states before, as long as it stays the same.
    points: AtomRc<Vec<Point>>,
}

/// A colour. What it looks like is the page's affair: on a dark board `Plain` is light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Ink {
    /// The colour of writing.
    Plain,
    /// Red.
    Red,
    /// Orange.
    Orange,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Violet.
    Violet,
}

/// A place on the board, in units from the left and from the top. In JSON `[x, y]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Point(#[schemars(range(max = WIDTH - 1))] pub u16, #[schemars(range(max = HEIGHT - 1))] pub u16);

/// Why a stroke cannot be as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum StrokeConflict {
    /// No points came.
    NoPoints,
    /// A point is not on the board.
    OffTheBoard,
    /// No stroke is that thick.
    WidthOutOfRange,
    /// It would have too many points.
    Full,
}

impl Stroke {
    /// A new stroke.
    ///
    /// # Errors
    ///
    /// Its width or its points are not within the limits.
    pub fn new(author: &str, ink: Ink, width: u8, points: &[Point]) -> Result<Self, StrokeConflict> {
        if !(STROKE_WIDTH_MIN..=STROKE_WIDTH_MAX).contains(&width) {
            return Err(StrokeConflict::WidthOutOfRange);
        }
        Ok(Self { author: author.to_owned(), ink, width, points: extended(&[], points)?.into() })
    }

    /// Who draws it.
    #[must_use]
    pub fn author(&self) -> &str {
        &self.author
    }

    /// Where it goes.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }
}

impl StateMachine for Stroke {
    type Transition = Vec<Point>;
    type Conflict = StrokeConflict;

    fn apply(&self, more: &Vec<Point>) -> Result<Self, StrokeConflict> {
        Ok(Self { points: extended(&self.points, more)?.into(), ..self.clone() })
    }
}

fn extended(points: &[Point], more: &[Point]) -> Result<Vec<Point>, StrokeConflict> {
    if more.is_empty() {
        return Err(StrokeConflict::NoPoints);
    }
    if !more.iter().all(|Point(x, y)| *x < WIDTH && *y < HEIGHT) {
        return Err(StrokeConflict::OffTheBoard);
    }
    if points.len() + more.len() > STROKE_POINTS_MAX as usize {
        return Err(StrokeConflict::Full);
    }
    Ok([points, more].concat())
}
