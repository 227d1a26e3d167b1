//! Every rule of the auction, through the contract: JSON in, JSON out, as a page does it.

use auction::{AMOUNT_MAX, ANSWER_TIME_MAX, Auction, BIDS_KEPT_MAX, FIRST_REFUSAL, ITEM_CHARS_MAX, SECONDS_MAX};
use reapply_check::Room;
use reapply_guest::contract;
use serde_json::{Value, json};

const SECOND: u64 = 1_000_000;

fn empty_room() -> Room<Auction> {
    Room::new("")
}

/// Returns a room in which sue sells a vase for a minute: from 10, in steps of 2.
fn open() -> Room<Auction> {
    let mut room = empty_room();
    room.does("sue", vase());
    room
}

fn bids(room: &mut Room<Auction>, author: &str, most: u32) {
    room.does(author, bid(most));
}

/// Returns the leader and the price.
fn leader(room: &Room<Auction>) -> (Value, Value) {
    let view = room.view();
    (view["leader"].clone(), view["price"].clone())
}

/// Returns the bids that everyone sees, the newest first: bidder, amount, and whether it was made on their behalf.
fn history(room: &Room<Auction>) -> Value {
    let bids = room.view()["bids"].as_array().unwrap().clone();
    bids.iter().map(|bid| json!([bid["bidder"], bid["amount"], bid["automatic"]])).collect()
}

fn vase() -> Value {
    json!({ "Offer": { "item": "A vase", "reserve": 10, "step": 2, "seconds": 60 } })
}

fn bid(most: u32) -> Value {
    json!({ "Bid": { "most": most } })
}

#[test]
fn a_lot_is_put_up_bid_for_and_closed_by_the_alarm() {
    let mut room = empty_room();
    assert_eq!(room.view()["phase"], "Waiting");
    room.cannot("bob", bid(10), json!("NothingForSale"));
    room.does("sue", vase());
    let view = room.view();
    assert_eq!((&view["phase"], &view["seller"], &view["number"]), (&json!("Open"), &json!("sue"), &json!(1)));
    assert_eq!((&view["least"], &view["price"]), (&json!(10), &Value::Null));
    assert_eq!(room.alarm_at(), Some(room.now + 60 * SECOND));

    bids(&mut room, "bob", 10);
    room.rings(0);
    assert_eq!((&room.view()["phase"], leader(&room)), (&json!("Closed"), (json!("bob"), json!(10))));
    assert_eq!(room.alarm_at(), None);
    room.cannot("ada", bid(50), json!("Ended"));
}

#[test]
fn a_lot_that_nobody_wants_is_closed_all_the_same() {
    let mut room = open();
    room.rings(0);
    assert_eq!((&room.view()["phase"], leader(&room)), (&json!("Closed"), (Value::Null, Value::Null)));
}

#[test]
fn bids_are_no_higher_than_they_must_be_and_what_is_left_stays_hidden() {
    let mut room = open();
    bids(&mut room, "bob", 90);
    assert_eq!(leader(&room), (json!("bob"), json!(10)));
    assert!(!room.view().to_string().contains("90"), "{}", room.view());

    // Ada is outbid at once, on Bob's behalf.
    bids(&mut room, "ada", 30);
    assert_eq!(leader(&room), (json!("bob"), json!(32)));
    assert_eq!(history(&room), json!([["bob", 32, true], ["ada", 30, false], ["bob", 10, false]]));
    assert!(!room.view().to_string().contains("90"), "{}", room.view());

    // Ada would pay more than Bob, so his maximum becomes visible.
    bids(&mut room, "ada", 200);
    assert_eq!(leader(&room), (json!("ada"), json!(92)));
    assert_eq!(history(&room).as_array().unwrap()[..2], [json!(["ada", 92, false]), json!(["bob", 90, true])]);
    assert!(!room.view().to_string().contains("200"), "{}", room.view());
}

#[test]
fn nobody_pays_more_than_they_said() {
    let mut room = open();
    bids(&mut room, "bob", 20);
    bids(&mut room, "ada", 21);
    assert_eq!(leader(&room), (json!("ada"), json!(21)), "less than a step above, but all that she would pay");
    bids(&mut room, "bob", 30);
    bids(&mut room, "ada", 29 + 2);
    assert_eq!(leader(&room), (json!("ada"), json!(31)));
    bids(&mut room, "bob", 100);
    bids(&mut room, "ada", 99);
    assert_eq!(leader(&room), (json!("bob"), json!(100)));
}

#[test]
fn of_equal_bids_the_first_leads() {
    let mut room = open();
    bids(&mut room, "bob", 40);
    bids(&mut room, "ada", 40);
    assert_eq!(leader(&room), (json!("bob"), json!(40)));
}

#[test]
fn a_leader_may_raise_unseen() {
    let mut room = open();
    bids(&mut room, "bob", 40);
    let (before, ends) = (room.view(), room.alarm_at());
    for most in [0, 10, 40] {
        room.cannot("bob", bid(most), json!("AlreadyLeading"));
    }
    room.now += 59 * SECOND;
    bids(&mut room, "bob", 50);
    assert_eq!((room.view(), room.alarm_at()), (before, ends), "not even the time shows it");
    bids(&mut room, "ada", 45);
    assert_eq!(leader(&room), (json!("bob"), json!(47)));
}

#[test]
fn bids_have_a_least_and_a_most() {
    let mut room = open();
    room.cannot("bob", bid(9), json!({ "TooLow": { "least": 10 } }));
    room.cannot("bob", bid(AMOUNT_MAX + 1), json!({ "TooHigh": { "most": AMOUNT_MAX } }));
    bids(&mut room, "bob", 10);
    room.cannot("ada", bid(11), json!({ "TooLow": { "least": 12 } }));
    bids(&mut room, "ada", AMOUNT_MAX);
    bids(&mut room, "bob", AMOUNT_MAX);
    assert_eq!(leader(&room), (json!("ada"), json!(AMOUNT_MAX)));
    room.cannot("bob", bid(AMOUNT_MAX), json!({ "TooLow": { "least": AMOUNT_MAX + 2 } }));
}

#[test]
fn sellers_do_not_bid_and_participants_do_not_close() {
    let mut room = open();
    room.cannot("sue", bid(20), json!("OwnItem"));
    for author in ["sue", "bob"] {
        room.cannot(author, json!("Close"), json!("OnlyTheAlarmCloses"));
    }
}

#[test]
fn a_bid_in_the_last_moments_leaves_time_to_answer() {
    let mut room = open();
    let ends = room.alarm_at().unwrap();
    room.now = ends - ANSWER_TIME_MAX.get();
    bids(&mut room, "bob", 20);
    assert_eq!(room.alarm_at(), Some(ends));
    room.now = ends - 1;
    bids(&mut room, "ada", 30);
    assert_eq!(room.alarm_at(), Some(room.now + ANSWER_TIME_MAX.get()));
    room.now = ends + 1;
    bids(&mut room, "bob", 40);
    assert_eq!(room.view()["ends"], room.now + ANSWER_TIME_MAX.get());

    // A bid extends a short lot only by a short time.
    let mut short = empty_room();
    short.does("sue", json!({ "Offer": { "seconds": 3 } }));
    short.now += 2 * SECOND;
    bids(&mut short, "bob", 20);
    assert_eq!(short.alarm_at(), Some(short.now + 3 * SECOND));
}

#[test]
fn a_bid_after_the_end_is_too_late_even_if_the_alarm_is_later() {
    let mut room = open();
    bids(&mut room, "ada", 20);
    room.now = room.alarm_at().unwrap();
    room.cannot("bob", bid(50), json!("Ended"));
    room.rings(90 * SECOND);
    assert_eq!(leader(&room), (json!("ada"), json!(10)));
}

#[test]
fn an_alarm_before_its_time_closes_nothing() {
    let close = json!("Close");
    let mut room = empty_room();
    assert_eq!(room.tries_to_ring(&close), Err(json!("NotDue")));
    room.does("sue", vase());
    room.now = room.alarm_at().unwrap() - 1;
    assert_eq!(room.tries_to_ring(&close), Err(json!("NotDue")));
    room.rings(0);
    assert_eq!(room.tries_to_ring(&close), Err(json!("NotDue")));
}

#[test]
fn seller_and_buyer_are_the_first_to_put_up_the_next_lot() {
    for party in ["sue", "bob"] {
        let mut room = open();
        bids(&mut room, "bob", 20);
        room.cannot(party, vase(), json!("StillOpen"));
        room.rings(0);
        let until = room.now + FIRST_REFUSAL.get();
        assert_eq!(room.view()["anyone_from"], until);
        room.cannot("ada", vase(), json!({ "NotYourTurn": { "until": until } }));
        room.does(party, vase());
        let view = room.view();
        assert_eq!((&view["number"], &view["seller"], &view["bids"]), (&json!(2), &json!(party), &json!([])));
    }
    let mut room = open();
    room.rings(0);
    room.now += FIRST_REFUSAL.get();
    room.does("ada", vase());
    assert_eq!(room.view()["seller"], "ada");
}

#[test]
fn a_lot_that_is_over_makes_room_even_before_its_alarm() {
    let mut room = open();
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
        empty_room().cannot("sue", json!({ "Offer": lot }), json!({ "BadLot": { "why": refusal } }));
    }
    let widest = json!({ "item": "é".repeat(ITEM_CHARS_MAX as usize), "reserve": AMOUNT_MAX, "seconds": SECONDS_MAX });
    empty_room().does("sue", json!({ "Offer": widest }));
}

#[test]
fn options_propose_the_first_lot() {
    let view = Room::<Auction>::new(r#"{ "item": "A clock", "reserve": 70 }"#).view();
    assert_eq!(view["lot"], json!({ "item": "A clock", "reserve": 70, "step": 2, "seconds": 60 }));
    assert_eq!((&view["least"], &view["number"]), (&json!(70), &json!(0)));
    let unknown = contract::create::<Auction>(r#"{ "colour": "red" }"#).unwrap_err();
    assert!(unknown.contains("colour"), "{unknown}");
}

#[test]
fn the_history_keeps_the_newest_bids() {
    let mut room = open();
    for most in 10..100 {
        let author = ["ada", "bob"][(most % 2) as usize];
        bids(&mut room, author, most * 2);
    }
    let history = history(&room);
    assert_eq!(history.as_array().map(Vec::len), Some(BIDS_KEPT_MAX));
    assert_eq!(history[0], json!(["bob", 198, false]));
}

#[test]
fn a_snapshot_restores_the_very_auction() {
    let mut room = open();
    bids(&mut room, "bob", 90);
    bids(&mut room, "ada", 30);
    room.restores();
    bids(&mut room, "ada", 91);
    assert_eq!(leader(&room), (json!("ada"), json!(91)), "what is hidden was in the snapshot");
}
