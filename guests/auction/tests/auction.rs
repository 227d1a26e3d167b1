//! Every rule of the auction, through the contract: JSON in, JSON out, as a page does it.

use auction::{AMOUNT_MAX, ANSWER_TIME_MAX, Auction, BIDS_KEPT_MAX, FIRST_REFUSAL, ITEM_CHARS_MAX, SECONDS_MAX};
use reapply_guest::contract::{self, Event, Input, Rejection, Submission};
use serde_json::{Value, json};

const SECOND: u64 = 1_000_000;

/// An auction room: its state, its clock, and the events so far.
struct Room {
    auction: Auction,
    now: u64,
    seq: u64,
}

impl Room {
    fn new() -> Self {
        Self { auction: contract::create("").unwrap(), now: 1_700_000_000 * SECOND, seq: 0 }
    }

    /// Returns a room in which sue sells a vase for a minute: from 10, in steps of 2.
    fn open() -> Self {
        let mut room = Self::new();
        room.does("sue", vase());
        room
    }

    fn handle(&mut self, input: Input) -> Result<(), Value> {
        let event = Event { seq: self.seq + 1, time: self.now, entropy: 0, input };
        self.auction = contract::apply(&self.auction, event).map_err(|rejection| match rejection {
            Rejection::Conflict(conflict) => serde_json::from_str::<Value>(&conflict).unwrap(),
            Rejection::Malformed(what) => panic!("{what}"),
        })?;
        self.seq += 1;
        assert!(self.alarm_at().is_none_or(|at| at > self.now), "the alarm is later than the event that set it");
        Ok(())
    }

    fn tries(&mut self, author: &str, transition: &Value) -> Result<(), Value> {
        let transition = contract::encode::<Auction>(&transition.to_string()).unwrap();
        self.handle(Input::Transition(Submission { author: author.to_owned(), transition }))
    }

    fn does(&mut self, author: &str, transition: Value) {
        assert_eq!(self.tries(author, &transition), Ok(()), "{author} {transition}");
    }

    /// Expects a conflict that leaves the state alone.
    fn cannot(&mut self, author: &str, transition: Value, conflict: Value) {
        let before = self.auction.clone();
        assert_eq!(self.tries(author, &transition), Err(conflict), "{author} {transition}");
        assert_eq!(self.auction, before);
    }

    fn bids(&mut self, author: &str, most: u32) {
        self.does(author, bid(most));
    }

    fn alarm_at(&self) -> Option<u64> {
        contract::alarm(&self.auction).unwrap().map(|alarm| alarm.at)
    }

    /// Makes the alarm go off, the given time after it was due.
    fn closes(&mut self, late: u64) {
        let alarm = contract::alarm(&self.auction).unwrap().expect("an alarm is set");
        self.now = alarm.at + late;
        self.handle(Input::Alarm(alarm.transition)).expect("the alarm is due");
    }

    fn view(&self) -> Value {
        serde_json::from_str(&contract::view(&self.auction).unwrap()).unwrap()
    }

    /// Returns the leader and the price.
    fn leader(&self) -> (Value, Value) {
        let view = self.view();
        (view["leader"].clone(), view["price"].clone())
    }

    /// Returns the bids that everyone sees, the newest first: bidder, amount, and whether it was made on their behalf.
    fn history(&self) -> Value {
        let bids = self.view()["bids"].as_array().unwrap().clone();
        bids.iter().map(|bid| json!([bid["bidder"], bid["amount"], bid["automatic"]])).collect()
    }
}

fn vase() -> Value {
    json!({ "Offer": { "item": "A vase", "reserve": 10, "step": 2, "seconds": 60 } })
}

fn bid(most: u32) -> Value {
    json!({ "Bid": { "most": most } })
}

#[test]
fn a_lot_is_put_up_bid_for_and_closed_by_the_alarm() {
    let mut room = Room::new();
    assert_eq!(room.view()["phase"], "Waiting");
    room.cannot("bob", bid(10), json!("NothingForSale"));
    room.does("sue", vase());
    let view = room.view();
    assert_eq!((&view["phase"], &view["seller"], &view["number"]), (&json!("Open"), &json!("sue"), &json!(1)));
    assert_eq!((&view["least"], &view["price"]), (&json!(10), &Value::Null));
    assert_eq!(room.alarm_at(), Some(room.now + 60 * SECOND));

    room.bids("bob", 10);
    room.closes(0);
    assert_eq!((&room.view()["phase"], room.leader()), (&json!("Closed"), (json!("bob"), json!(10))));
    assert_eq!(room.alarm_at(), None);
    room.cannot("ada", bid(50), json!("Ended"));
}

#[test]
fn a_lot_that_nobody_wants_is_closed_all_the_same() {
    let mut room = Room::open();
    room.closes(0);
    assert_eq!((&room.view()["phase"], room.leader()), (&json!("Closed"), (Value::Null, Value::Null)));
}

#[test]
fn bids_are_no_higher_than_they_must_be_and_what_is_left_stays_hidden() {
    let mut room = Room::open();
    room.bids("bob", 90);
    assert_eq!(room.leader(), (json!("bob"), json!(10)));
    assert!(!contract::view(&room.auction).unwrap().contains("90"), "{}", room.view());

    // Ada is outbid at once, on Bob's behalf.
    room.bids("ada", 30);
    assert_eq!(room.leader(), (json!("bob"), json!(32)));
    assert_eq!(room.history(), json!([["bob", 32, true], ["ada", 30, false], ["bob", 10, false]]));
    assert!(!contract::view(&room.auction).unwrap().contains("90"), "{}", room.view());

    // Ada would pay more than Bob, so his maximum becomes visible.
    room.bids("ada", 200);
    assert_eq!(room.leader(), (json!("ada"), json!(92)));
    assert_eq!(room.history().as_array().unwrap()[..2], [json!(["ada", 92, false]), json!(["bob", 90, true])]);
    assert!(!contract::view(&room.auction).unwrap().contains("200"), "{}", room.view());
}

#[test]
fn nobody_pays_more_than_they_said() {
    let mut room = Room::open();
    room.bids("bob", 20);
    room.bids("ada", 21);
    assert_eq!(room.leader(), (json!("ada"), json!(21)), "less than a step above, but all that she would pay");
    room.bids("bob", 30);
    room.bids("ada", 29 + 2);
    assert_eq!(room.leader(), (json!("ada"), json!(31)));
    room.bids("bob", 100);
    room.bids("ada", 99);
    assert_eq!(room.leader(), (json!("bob"), json!(100)));
}

#[test]
fn of_equal_bids_the_first_leads() {
    let mut room = Room::open();
    room.bids("bob", 40);
    room.bids("ada", 40);
    assert_eq!(room.leader(), (json!("bob"), json!(40)));
}

#[test]
fn a_leader_may_raise_unseen() {
    let mut room = Room::open();
    room.bids("bob", 40);
    let (before, ends) = (room.view(), room.alarm_at());
    for most in [0, 10, 40] {
        room.cannot("bob", bid(most), json!("AlreadyLeading"));
    }
    room.now += 59 * SECOND;
    room.bids("bob", 50);
    assert_eq!((room.view(), room.alarm_at()), (before, ends), "not even the time shows it");
    room.bids("ada", 45);
    assert_eq!(room.leader(), (json!("bob"), json!(47)));
}

#[test]
fn bids_have_a_least_and_a_most() {
    let mut room = Room::open();
    room.cannot("bob", bid(9), json!({ "TooLow": { "least": 10 } }));
    room.cannot("bob", bid(AMOUNT_MAX + 1), json!({ "TooHigh": { "most": AMOUNT_MAX } }));
    room.bids("bob", 10);
    room.cannot("ada", bid(11), json!({ "TooLow": { "least": 12 } }));
    room.bids("ada", AMOUNT_MAX);
    room.bids("bob", AMOUNT_MAX);
    assert_eq!(room.leader(), (json!("ada"), json!(AMOUNT_MAX)));
    room.cannot("bob", bid(AMOUNT_MAX), json!({ "TooLow": { "least": AMOUNT_MAX + 2 } }));
}

#[test]
fn sellers_do_not_bid_and_participants_do_not_close() {
    let mut room = Room::open();
    room.cannot("sue", bid(20), json!("OwnItem"));
    for author in ["sue", "bob"] {
        room.cannot(author, json!("Close"), json!("OnlyTheAlarmCloses"));
    }
}

#[test]
fn a_bid_in_the_last_moments_leaves_time_to_answer() {
    let mut room = Room::open();
    let ends = room.alarm_at().unwrap();
    room.now = ends - ANSWER_TIME_MAX.get();
    room.bids("bob", 20);
    assert_eq!(room.alarm_at(), Some(ends));
    room.now = ends - 1;
    room.bids("ada", 30);
    assert_eq!(room.alarm_at(), Some(room.now + ANSWER_TIME_MAX.get()));
    room.now = ends + 1;
    room.bids("bob", 40);
    assert_eq!(room.view()["ends"], room.now + ANSWER_TIME_MAX.get());

    // A bid extends a short lot only by a short time.
    let mut short = Room::new();
    short.does("sue", json!({ "Offer": { "seconds": 3 } }));
    short.now += 2 * SECOND;
    short.bids("bob", 20);
    assert_eq!(short.alarm_at(), Some(short.now + 3 * SECOND));
}

#[test]
fn a_bid_after_the_end_is_too_late_even_if_the_alarm_is_later() {
    let mut room = Room::open();
    room.bids("ada", 20);
    room.now = room.alarm_at().unwrap();
    room.cannot("bob", bid(50), json!("Ended"));
    room.closes(90 * SECOND);
    assert_eq!(room.leader(), (json!("ada"), json!(10)));
}

#[test]
fn an_alarm_before_its_time_closes_nothing() {
    let close = contract::encode::<Auction>("\"Close\"").unwrap();
    let mut room = Room::new();
    assert_eq!(room.handle(Input::Alarm(close.clone())), Err(json!("NotDue")));
    room.does("sue", vase());
    room.now = room.alarm_at().unwrap() - 1;
    assert_eq!(room.handle(Input::Alarm(close.clone())), Err(json!("NotDue")));
    room.closes(0);
    assert_eq!(room.handle(Input::Alarm(close)), Err(json!("NotDue")));
}

#[test]
fn seller_and_buyer_are_the_first_to_put_up_the_next_lot() {
    for party in ["sue", "bob"] {
        let mut room = Room::open();
        room.bids("bob", 20);
        room.cannot(party, vase(), json!("StillOpen"));
        room.closes(0);
        let until = room.now + FIRST_REFUSAL.get();
        assert_eq!(room.view()["anyone_from"], until);
        room.cannot("ada", vase(), json!({ "NotYourTurn": { "until": until } }));
        room.does(party, vase());
        let view = room.view();
        assert_eq!((&view["number"], &view["seller"], &view["bids"]), (&json!(2), &json!(party), &json!([])));
    }
    let mut room = Room::open();
    room.closes(0);
    room.now += FIRST_REFUSAL.get();
    room.does("ada", vase());
    assert_eq!(room.view()["seller"], "ada");
}

#[test]
fn a_lot_that_is_over_makes_room_even_before_its_alarm() {
    let mut room = Room::open();
    room.now = room.alarm_at().unwrap();
    room.does("sue", vase());
    assert_eq!((&room.view()["number"], room.alarm_at()), (&json!(2), Some(room.now + 60 * SECOND)));
}

#[test]
fn lots_have_limits_as_options_and_as_offers() {
    let long = "x".repeat(ITEM_CHARS_MAX as usize + 1);
    let bad = [
        (json!({ "item": "" }), "0 characters"),
        (json!({ "item": "  " }), "not only spaces"),
        (json!({ "item": long }), "61 characters"),
        (json!({ "reserve": 0 }), "the reserve is 0"),
        (json!({ "step": AMOUNT_MAX + 1 }), "the step is"),
        (json!({ "seconds": 0 }), "the time in seconds is 0"),
        (json!({ "seconds": SECONDS_MAX + 1 }), "from 1 to 86400"),
    ];
    for (lot, why) in bad {
        let refusal = contract::create::<Auction>(&lot.to_string()).unwrap_err();
        assert!(refusal.contains(why), "{lot}: {refusal}");
        Room::new().cannot("sue", json!({ "Offer": lot }), json!({ "BadLot": { "why": refusal } }));
    }
    let widest = json!({ "item": "é".repeat(ITEM_CHARS_MAX as usize), "reserve": AMOUNT_MAX, "seconds": SECONDS_MAX });
    Room::new().does("sue", json!({ "Offer": widest }));
}

#[test]
fn options_propose_the_first_lot() {
    let auction: Auction = contract::create(r#"{ "item": "A clock", "reserve": 70 }"#).unwrap();
    let view: Value = serde_json::from_str(&contract::view(&auction).unwrap()).unwrap();
    assert_eq!(view["lot"], json!({ "item": "A clock", "reserve": 70, "step": 2, "seconds": 60 }));
    assert_eq!((&view["least"], &view["number"]), (&json!(70), &json!(0)));
    let unknown = contract::create::<Auction>(r#"{ "colour": "red" }"#).unwrap_err();
    assert!(unknown.contains("colour"), "{unknown}");
}

#[test]
fn the_history_keeps_the_newest_bids() {
    let mut room = Room::open();
    for most in 10..100 {
        let author = ["ada", "bob"][(most % 2) as usize];
        room.bids(author, most * 2);
    }
    let history = room.history();
    assert_eq!(history.as_array().map(Vec::len), Some(BIDS_KEPT_MAX));
    assert_eq!(history[0], json!(["bob", 198, false]));
}

#[test]
fn a_snapshot_restores_the_very_auction() {
    let mut room = Room::open();
    room.bids("bob", 90);
    room.bids("ada", 30);
    let snapshot = contract::snapshot(&room.auction).unwrap();
    let mut restored = Room { auction: contract::restore(&snapshot, 1).unwrap(), ..room };
    assert_eq!(contract::snapshot(&restored.auction).unwrap(), snapshot);
    restored.bids("ada", 91);
    assert_eq!(restored.leader(), (json!("ada"), json!(91)), "what is hidden was in the snapshot");
}
