//! The bidding for one lot: bidders name the most they would pay, and the machine bids for them, no higher than necessary.

use reapply_guest::Micros;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conflict::Conflict;
use crate::lot::{AMOUNT_MAX, Lot};

/// The number of bids that the history keeps.
pub const BIDS_KEPT_MAX: usize = 20;

/// The minimum time that a bid leaves the others to answer, but never longer than the lot was open at first.
pub const ANSWER_TIME_MAX: Micros = Micros::from_secs(10);

/// A lot that was put up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Sale {
    pub(crate) seller: String,
    /// The time when the lot ends, or ended.
    pub(crate) ends: Micros,
    pub(crate) is_closed: bool,
    pub(crate) leading: Option<Leading>,
    /// The bids, the newest first.
    pub(crate) bids: Vec<Bid>,
}

/// The best bid so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Leading {
    pub(crate) bidder: String,
    pub(crate) price: u32,
    /// The most that the bidder would pay. Nobody sees this until it is outbid.
    most: u32,
}

/// A bid that everyone may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bid {
    bidder: String,
    amount: u32,
    at: Micros,
    /// Whether the bid was made on the bidder's behalf, in answer to another one.
    automatic: bool,
}

impl Sale {
    pub(crate) fn begin(lot: &Lot, seller: &str, now: Micros) -> Self {
        let ends = now + lot.open_for();
        Self { seller: seller.to_owned(), ends, is_closed: false, leading: None, bids: Vec::new() }
    }

    /// Returns whether the time is over, even if the alarm has not gone off yet.
    pub(crate) fn is_over(&self, now: Micros) -> bool {
        self.is_closed || now >= self.ends
    }

    /// Returns the lowest amount that the next bidder must offer.
    pub(crate) fn least(&self, lot: &Lot) -> u32 {
        self.leading.as_ref().map_or(lot.reserve, |leading| leading.price.saturating_add(lot.step))
    }

    /// Returns the sale after a bid of up to `most`.
    pub(crate) fn bid(&self, lot: &Lot, bidder: &str, most: u32, now: Micros) -> Result<Self, Conflict> {
        if self.is_over(now) {
            return Err(Conflict::Ended);
        }
        if self.seller == bidder {
            return Err(Conflict::OwnItem);
        }
        if most > AMOUNT_MAX {
            return Err(Conflict::TooHigh { most: AMOUNT_MAX });
        }
        let least = self.least(lot);
        match &self.leading {
            Some(leading) if leading.bidder == bidder => self.raise(leading, most),
            _ if most < least => Err(Conflict::TooLow { least }),
            None => {
                Ok(self.led_by(bidder, lot.reserve, most).with(bidder, lot.reserve, now, false).kept_open(lot, now))
            }
            Some(leading) => Ok(self.contest(leading, lot, bidder, most, now).kept_open(lot, now)),
        }
    }

    /// Raises the leader's own maximum. Nobody sees a difference.
    fn raise(&self, leading: &Leading, most: u32) -> Result<Self, Conflict> {
        if most <= leading.most {
            return Err(Conflict::AlreadyLeading);
        }
        Ok(self.led_by(&leading.bidder, leading.price, most))
    }

    /// Decides between two bidders: the one who would pay more leads, a step above the other's maximum. If both are equal, the first leads.
    fn contest(&self, leading: &Leading, lot: &Lot, bidder: &str, most: u32, now: Micros) -> Self {
        if most > leading.most {
            let price = most.min(leading.most.saturating_add(lot.step));
            let answered = if leading.most > leading.price {
                self.with(&leading.bidder, leading.most, now, true)
            } else {
                self.clone()
            };
            answered.led_by(bidder, price, most).with(bidder, price, now, false)
        } else {
            let price = leading.most.min(most.saturating_add(lot.step));
            self.led_by(&leading.bidder, price, leading.most).with(bidder, most, now, false).with(
                &leading.bidder,
                price,
                now,
                true,
            )
        }
    }

    fn led_by(&self, bidder: &str, price: u32, most: u32) -> Self {
        Self { leading: Some(Leading { bidder: bidder.to_owned(), price, most }), ..self.clone() }
    }

    fn with(&self, bidder: &str, amount: u32, at: Micros, automatic: bool) -> Self {
        let newest = Bid { bidder: bidder.to_owned(), amount, at, automatic };
        let bids = std::iter::once(newest).chain(self.bids.iter().cloned()).take(BIDS_KEPT_MAX).collect();
        Self { bids, ..self.clone() }
    }

    fn kept_open(self, lot: &Lot, now: Micros) -> Self {
        let answer_by = now + ANSWER_TIME_MAX.min(lot.open_for());
        Self { ends: self.ends.max(answer_by), ..self }
    }
}
