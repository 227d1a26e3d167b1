//! One stroke: a machine of its own, which only ever gets longer.

use reapply_guest::{AtomRc, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The board's width in units. Coordinates go from 0 to one less.
pub const WIDTH: u16 = 4096;

/// The board's height in units.
pub const HEIGHT: u16 = 3072;

/// The thinnest stroke, in units.
pub const STROKE_WIDTH_MIN: u8 = 4;

/// The thickest stroke, in units.
pub const STROKE_WIDTH_MAX: u8 = 128;

/// The maximum number of points of one stroke. A longer line is drawn as several.
pub const STROKE_POINTS_MAX: u32 = 2_000;

/// A line that somebody draws. A transition adds points to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stroke {
    author: String,
    ink: Ink,
    width: u8,
    /// Shared with earlier states, as long as it does not change.
    points: AtomRc<Vec<Point>>,
}

/// A colour. The page decides what it looks like: on a dark board `Plain` is light.
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

/// The conflicts of a stroke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum StrokeConflict {
    /// There are no points.
    NoPoints,
    /// A point is not on the board.
    OffTheBoard,
    /// The thickness is out of range.
    WidthOutOfRange,
    /// The stroke would have too many points.
    Full,
}

impl Stroke {
    /// Creates a stroke.
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

    /// Returns the author.
    #[must_use]
    pub fn author(&self) -> &str {
        &self.author
    }

    /// Returns the points.
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
