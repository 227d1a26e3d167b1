//! A board to draw on together. A line appears with its first point, and grows while it is drawn.
//!
//! The event says who sent a transition: only the author of a stroke extends it, and undoing removes the sender's own last one. The strokes
//! are a building block, [`List`]; this program adds permissions and limits.

mod stroke;

use reapply_guest::{Event, Id, Input, List, ListConflict, ListTransition, NoOptions, Program, StateMachine, export};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use stroke::{
    HEIGHT, Ink, Point, STROKE_POINTS_MAX, STROKE_WIDTH_MAX, STROKE_WIDTH_MIN, Stroke, StrokeConflict, WIDTH,
};

/// The maximum number of strokes on a board.
pub const STROKES_MAX: u32 = 1_000;

/// The maximum number of points of all strokes of a board.
pub const POINTS_MAX: u32 = 30_000;

/// A room's board.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Whiteboard {
    /// The strokes, each drawn over those before it.
    strokes: List<Stroke>,
}

/// The transitions of participants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = example_start(), example = example_extend())]
pub enum Transition {
    /// Put the pen down. The stroke is drawn over all others.
    Start {
        /// The id of the stroke.
        id: Id,
        /// The colour.
        ink: Ink,
        /// The thickness, in units.
        #[schemars(range(min = STROKE_WIDTH_MIN, max = STROKE_WIDTH_MAX))]
        width: u8,
        /// The first points: at least one.
        #[schemars(length(min = 1, max = STROKE_POINTS_MAX))]
        points: Vec<Point>,
    },
    /// Continue one of your own strokes at its end.
    Extend {
        /// The stroke.
        id: Id,
        /// The next points: at least one.
        #[schemars(length(min = 1, max = STROKE_POINTS_MAX))]
        points: Vec<Point>,
    },
    /// Remove your own last stroke.
    Undo,
    /// Remove everything.
    Clear,
}

/// The conflicts of the board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Conflict {
    /// Another stroke has that id.
    IdTaken(Id),
    /// The stroke does not exist, or no longer.
    NoSuchStroke(Id),
    /// The stroke belongs to somebody else.
    NotYourStroke(Id),
    /// There are no points.
    NoPoints,
    /// A point is not on the board.
    OffTheBoard {
        /// The board's width.
        width: u16,
        /// The board's height.
        height: u16,
    },
    /// The thickness is out of range.
    WidthOutOfRange {
        /// The thinnest.
        min: u8,
        /// The thickest.
        max: u8,
    },
    /// The stroke would have too many points.
    StrokeFull {
        /// The maximum number.
        points_max: u32,
    },
    /// The board would have too many strokes, or points.
    BoardFull {
        /// The maximum number of strokes.
        strokes_max: u32,
        /// The maximum number of points of all strokes.
        points_max: u32,
    },
    /// None of the strokes on the board is your own.
    NothingToUndo,
    /// The board is empty.
    NothingToClear,
}

impl Program for Whiteboard {
    type Options = NoOptions;
    type Transition = Transition;
    type Conflict = Conflict;

    fn apply(&self, event: &Event<Transition>) -> Result<Self, Conflict> {
        // The board sets no alarm and has no membership events: strokes stay when their authors leave.
        let Input::Transition { author, transition } = &event.input else { return Ok(self.clone()) };
        match transition {
            Transition::Start { id, ink, width, points } => {
                if self.strokes.len() >= STROKES_MAX as usize {
                    return Err(Conflict::board_full());
                }
                self.check_room(points)?;
                let stroke = Stroke::new(author, *ink, *width, points)?;
                self.with(&self.strokes.append(*id, stroke))
            }
            Transition::Extend { id, points } => {
                let stroke = self.strokes.get(*id).ok_or(Conflict::NoSuchStroke(*id))?;
                if stroke.author() != author {
                    return Err(Conflict::NotYourStroke(*id));
                }
                self.check_room(points)?;
                self.with(&ListTransition::Item(*id, points.clone()))
            }
            Transition::Undo => {
                let own = self.strokes.iter().rev().find(|(_, stroke)| stroke.author() == author);
                let (id, _) = own.ok_or(Conflict::NothingToUndo)?;
                self.with(&self.strokes.delete(id))
            }
            Transition::Clear if self.strokes.is_empty() => Err(Conflict::NothingToClear),
            Transition::Clear => Ok(Self::default()),
        }
    }
}

impl Whiteboard {
    fn with(&self, transition: &ListTransition<Stroke>) -> Result<Self, Conflict> {
        Ok(Self { strokes: StateMachine::apply(&self.strokes, transition)? })
    }

    /// Returns whether this many more points fit on the board.
    fn check_room(&self, points: &[Point]) -> Result<(), Conflict> {
        let there: usize = self.strokes.iter().map(|(_, stroke)| stroke.points().len()).sum();
        if there + points.len() > POINTS_MAX as usize { Err(Conflict::board_full()) } else { Ok(()) }
    }
}

impl Conflict {
    fn board_full() -> Self {
        Self::BoardFull { strokes_max: STROKES_MAX, points_max: POINTS_MAX }
    }
}

impl From<StrokeConflict> for Conflict {
    fn from(conflict: StrokeConflict) -> Self {
        match conflict {
            StrokeConflict::NoPoints => Self::NoPoints,
            StrokeConflict::OffTheBoard => Self::OffTheBoard { width: WIDTH, height: HEIGHT },
            StrokeConflict::WidthOutOfRange => Self::WidthOutOfRange { min: STROKE_WIDTH_MIN, max: STROKE_WIDTH_MAX },
            StrokeConflict::Full => Self::StrokeFull { points_max: STROKE_POINTS_MAX },
        }
    }
}

impl From<ListConflict<Stroke>> for Conflict {
    fn from(conflict: ListConflict<Stroke>) -> Self {
        match conflict {
            ListConflict::NoSuchItem(id) => Self::NoSuchStroke(id),
            ListConflict::IdTaken(id) => Self::IdTaken(id),
            ListConflict::Full { .. } => Self::board_full(),
            ListConflict::Item(_, conflict) => conflict.into(),
        }
    }
}

const EXAMPLE_ID: Id = Id::from_bits(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);

fn example_start() -> Transition {
    Transition::Start { id: EXAMPLE_ID, ink: Ink::Blue, width: 24, points: vec![Point(1024, 1024), Point(1100, 1060)] }
}

fn example_extend() -> Transition {
    Transition::Extend { id: EXAMPLE_ID, points: vec![Point(1200, 1090), Point(1320, 1100)] }
}

export!(Whiteboard);
