//! The conflicts.

use reapply_guest::Micros;
use schemars::JsonSchema;
use serde::Serialize;

/// The conflicts of the auction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Conflict {
    /// Nothing has been put up yet.
    NothingForSale,
    /// The last lot is still open.
    StillOpen,
    /// The lot is not valid.
    BadLot {
        /// The reason.
        why: String,
    },
    /// Only the last sale's seller and buyer may put up the next lot for now.
    NotYourTurn {
        /// The time from which anyone may.
        until: Micros,
    },
    /// The lot is closed.
    Ended,
    /// Sellers cannot bid for their own lot.
    OwnItem,
    /// The bid is too low.
    TooLow {
        /// The lowest accepted bid.
        least: u32,
    },
    /// The bid is too high.
    TooHigh {
        /// The highest accepted bid.
        most: u32,
    },
    /// The bidder leads, and already bids that much.
    AlreadyLeading,
    /// A participant cannot close a lot.
    OnlyTheAlarmCloses,
    /// The alarm went off, but there is nothing to close.
    NotDue,
}
