//! An auction: one lot after another, closed by the host's alarm.
//!
//! Whoever puts a lot up is its seller. A bid names the most that its bidder would pay, which stays hidden: the machine bids on their
//! behalf, no higher than necessary to lead. A bid in the last moments keeps the lot open a little longer, so that bidding late gains
//! nothing.
//!
//! The [view](Program::view) shows less than the state. It only hides data from user interfaces: every replica
//! holds the state and may read the log, so secrets do not belong in a machine.

mod conflict;
mod lot;
mod sale;

use reapply_guest::{Alarm, Event, Input, Micros, Program, export};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use conflict::Conflict;
pub use lot::{AMOUNT_MAX, ITEM_CHARS_MAX, Lot, SECONDS_MAX};
use sale::Sale;
pub use sale::{ANSWER_TIME_MAX, BIDS_KEPT_MAX, Bid};

/// The time after a sale during which only its seller and its buyer may put up the next lot.
pub const FIRST_REFUSAL: Micros = Micros::from_secs(30);

/// A room's auction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Auction {
    /// The lot that was put up last; before the first one, the lot that the options propose.
    lot: Lot,
    /// The number of lots that were put up.
    number: u32,
    sale: Option<Sale>,
}

/// The transitions of participants, and of the alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = Transition::Offer(Lot::default()), example = Transition::Bid { most: 25 })]
pub enum Transition {
    /// Put a lot up for sale.
    Offer(Lot),
    /// Bid for the lot, up to an amount that stays hidden. The leader may name a higher one.
    Bid {
        /// The most that the bidder would pay.
        most: u32,
    },
    /// The time is over. Only the alarm may send this.
    Close,
}

/// The part of the state that everyone may know.
#[derive(Serialize, JsonSchema)]
struct View<'a> {
    /// The lot that was put up last; before the first one, the proposed lot.
    lot: &'a Lot,
    /// The number of lots that were put up.
    number: u32,
    phase: Phase,
    seller: Option<&'a str>,
    /// The leader, or the buyer after the end.
    leader: Option<&'a str>,
    /// The price that the leader would pay now, or paid.
    price: Option<u32>,
    /// The lowest amount that the next bidder must offer.
    least: u32,
    /// The time when it ends, or ended. A bid in the last moments moves it.
    ends: Option<Micros>,
    /// The time from which others than the last seller and buyer may put up the next lot.
    anyone_from: Option<Micros>,
    /// The last bids, the newest first.
    bids: &'a [Bid],
}

/// The stage of the lot.
#[derive(Serialize, JsonSchema)]
enum Phase {
    /// Nothing has been put up yet.
    Waiting,
    /// Bids are accepted.
    Open,
    /// The lot went to the leader, or to nobody if there is none.
    Closed,
}

impl Program for Auction {
    type Options = Lot;
    type Transition = Transition;
    type Conflict = Conflict;

    fn create(lot: Lot) -> Result<Self, String> {
        lot.check()?;
        Ok(Self { lot, ..Self::default() })
    }

    fn apply(&self, event: &Event<Transition>) -> Result<Self, Conflict> {
        let now = Micros::new(event.time);
        match &event.input {
            Input::Transition { author, transition } => match transition {
                Transition::Offer(lot) => self.offer(lot, author, now),
                Transition::Bid { most } => self.bid(*most, author, now),
                Transition::Close => Err(Conflict::OnlyTheAlarmCloses),
            },
            Input::Alarm(_) => self.close(now),
            Input::Joined(_) | Input::Left(_) => Ok(self.clone()),
        }
    }

    fn alarm(&self) -> Option<Alarm<Transition>> {
        let sale = self.sale.as_ref().filter(|sale| !sale.is_closed)?;
        Some(Alarm { at: sale.ends.get(), transition: Transition::Close })
    }

    fn view(&self) -> impl Serialize + JsonSchema {
        let sale = self.sale.as_ref();
        let leading = sale.and_then(|sale| sale.leading.as_ref());
        View {
            lot: &self.lot,
            number: self.number,
            phase: match sale {
                None => Phase::Waiting,
                Some(sale) if sale.is_closed => Phase::Closed,
                Some(_) => Phase::Open,
            },
            seller: sale.map(|sale| &*sale.seller),
            leader: leading.map(|leading| &*leading.bidder),
            price: leading.map(|leading| leading.price),
            least: sale.map_or(self.lot.reserve, |sale| sale.least(&self.lot)),
            ends: sale.map(|sale| sale.ends),
            anyone_from: sale.filter(|sale| sale.is_closed).map(anyone_from),
            bids: sale.map(|sale| &*sale.bids).unwrap_or_default(),
        }
    }
}

impl Auction {
    fn offer(&self, lot: &Lot, seller: &str, now: Micros) -> Result<Self, Conflict> {
        if let Some(last) = &self.sale {
            // A lot whose time is over makes room for the next one, even if its alarm has not gone off yet.
            if !last.is_over(now) {
                return Err(Conflict::StillOpen);
            }
            let is_party =
                last.seller == seller || last.leading.as_ref().is_some_and(|leading| leading.bidder == seller);
            let until = anyone_from(last);
            if !is_party && now < until {
                return Err(Conflict::NotYourTurn { until });
            }
        }
        lot.check().map_err(|why| Conflict::BadLot { why })?;
        let sale = Some(Sale::begin(lot, seller, now));
        Ok(Self { lot: lot.clone(), number: self.number.saturating_add(1), sale })
    }

    fn bid(&self, most: u32, bidder: &str, now: Micros) -> Result<Self, Conflict> {
        let sale = self.sale.as_ref().ok_or(Conflict::NothingForSale)?;
        Ok(Self { sale: Some(sale.bid(&self.lot, bidder, most, now)?), ..self.clone() })
    }

    fn close(&self, now: Micros) -> Result<Self, Conflict> {
        let due = self.sale.as_ref().filter(|sale| !sale.is_closed && sale.is_over(now)).ok_or(Conflict::NotDue)?;
        Ok(Self { sale: Some(Sale { is_closed: true, ..due.clone() }), ..self.clone() })
    }
}

fn anyone_from(sale: &Sale) -> Micros {
    sale.ends + FIRST_REFUSAL
}

export!(Auction);
