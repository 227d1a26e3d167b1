//! The two seats.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of the two seats, in JSON 0 and 1. The first one begins the first game.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schemars(with = "u8", extend("maximum" = 1))]
pub enum Seat {
    /// Seat 0.
    #[default]
    First,
    /// Seat 1.
    Second,
}

impl Seat {
    /// Returns 0 or 1.
    pub(crate) fn index(self) -> usize {
        usize::from(u8::from(self))
    }

    /// Returns the other seat.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

impl From<Seat> for u8 {
    fn from(seat: Seat) -> Self {
        seat as Self
    }
}

impl TryFrom<u8> for Seat {
    type Error = String;

    fn try_from(index: u8) -> Result<Self, String> {
        match index {
            0 => Ok(Self::First),
            1 => Ok(Self::Second),
            _ => Err(format!("there is no seat {index}, only 0 and 1")),
        }
    }
}
