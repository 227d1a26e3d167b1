//! Every rule of the timer, through the contract: JSON in, JSON out, as a page does it.

use reapply_check::Room;
use serde_json::{Value, json};
use timer::{RINGS_PER_START_MAX, SECONDS_MAX, Timer};

const SECOND: u64 = 1_000_000;

fn room() -> Room<Timer> {
    Room::new("")
}

/// Returns a room whose timer has this length, and stands still.
fn set_to(seconds: u32, repeats: bool) -> Room<Timer> {
    let mut room = room();
    room.does("ada", json!({ "Set": { "seconds": seconds, "repeats": repeats } }));
    room
}

#[test]
fn a_countdown_rings_once_when_its_time_has_come() {
    let mut room = set_to(90, false);
    assert_eq!((room.alarm_at(), &room.view()["rings"]), (None, &json!(0)));
    let began = room.now;
    room.does("bob", json!("Start"));
    let due = began + 90 * SECOND;
    assert_eq!(room.alarm_at(), Some(due));
    assert_eq!(room.view()["phase"], json!({ "Running": { "due": due, "starter": "bob", "rings_left": 1 } }));

    room.rings(0);
    let view = room.view();
    assert_eq!(view["last_ring"], json!({ "starter": "bob", "due": due, "at": due }));
    assert_eq!((&view["rings"], &view["phase"]), (&json!(1), &json!({ "Stopped": { "remaining": 90 * SECOND } })));
    assert_eq!(room.alarm_at(), None);
}

#[test]
fn a_stopped_countdown_goes_on_where_it_stopped() {
    let mut room = set_to(60, false);
    room.does("ada", json!("Start"));
    room.now += 20 * SECOND;
    room.does("bob", json!("Stop"));
    assert_eq!(room.view()["phase"], json!({ "Stopped": { "remaining": 40 * SECOND } }));
    room.now += 1_000 * SECOND;
    room.does("bob", json!("Start"));
    assert_eq!(room.alarm_at(), Some(room.now + 40 * SECOND));
}

#[test]
fn a_reset_gives_all_the_time_back_and_forgets_the_rings() {
    let mut room = set_to(60, true);
    room.does("ada", json!("Start"));
    room.rings(0);
    room.now += 5 * SECOND;
    for _ in 0..2 {
        room.does("bob", json!("Reset"));
        let view = room.view();
        assert_eq!((&view["rings"], &view["last_ring"]), (&json!(0), &Value::Null));
        assert_eq!(
            (&view["phase"], &view["repeats"]),
            (&json!({ "Stopped": { "remaining": 60 * SECOND } }), &json!(true))
        );
    }
}

#[test]
fn a_late_ring_says_how_late_it_was() {
    let mut room = set_to(60, false);
    room.does("ada", json!("Start"));
    let due = room.alarm_at().unwrap();
    room.rings(7 * SECOND);
    assert_eq!(room.view()["last_ring"], json!({ "starter": "ada", "due": due, "at": due + 7 * SECOND }));
}

#[test]
fn a_repeating_countdown_keeps_its_beat_whatever_it_missed() {
    let mut room = set_to(10, true);
    room.does("ada", json!("Start"));
    let first = room.alarm_at().unwrap();
    for (late, next) in [(0, 1), (9 * SECOND, 2), (10 * SECOND, 4), (25 * SECOND, 7)] {
        room.rings(late);
        assert_eq!(room.alarm_at(), Some(first + next * 10 * SECOND), "late by {late}");
    }
    assert_eq!(room.view()["rings"], 4);
}

#[test]
fn a_forgotten_countdown_stops_by_itself() {
    let mut room = set_to(1, true);
    room.does("ada", json!("Start"));
    for _ in 1..RINGS_PER_START_MAX {
        room.rings(0);
        assert!(room.alarm_at().is_some());
    }
    room.rings(0);
    assert_eq!((room.alarm_at(), &room.view()["rings"]), (None, &json!(RINGS_PER_START_MAX)));
}

#[test]
fn whoever_is_faster_than_a_late_alarm_finds_that_it_has_rung() {
    let mut late = set_to(60, false);
    late.does("ada", json!("Start"));
    late.now += 60 * SECOND;
    late.cannot("bob", json!("Stop"), json!("NotRunning"));
    late.does("bob", json!("Start"));
    assert_eq!((late.alarm_at(), &late.view()["rings"]), (Some(late.now + 60 * SECOND), &json!(1)));

    let mut repeating = set_to(60, true);
    repeating.does("ada", json!("Start"));
    repeating.now += 80 * SECOND;
    repeating.does("bob", json!("Stop"));
    let view = repeating.view();
    assert_eq!((&view["rings"], &view["phase"]), (&json!(1), &json!({ "Stopped": { "remaining": 40 * SECOND } })));
}

#[test]
fn what_does_not_fit_is_a_conflict() {
    let mut room = room();
    room.cannot("ada", json!("Stop"), json!("NotRunning"));
    room.cannot("ada", json!("Ring"), json!("OnlyTheAlarmRings"));
    for seconds in [0, SECONDS_MAX + 1, u32::MAX] {
        let conflict = json!({ "LengthOutOfRange": { "min": 1, "max": SECONDS_MAX } });
        room.cannot("ada", json!({ "Set": { "seconds": seconds, "repeats": false } }), conflict);
    }
    room.does("ada", json!({ "Set": { "seconds": SECONDS_MAX, "repeats": false } }));
    room.does("ada", json!("Start"));
    room.cannot("bob", json!("Start"), json!("Running"));
    room.cannot("bob", json!({ "Set": { "seconds": 5, "repeats": false } }), json!("Running"));
    room.cannot("bob", json!("Ring"), json!("OnlyTheAlarmRings"));
}

#[test]
fn an_alarm_before_its_time_rings_nothing() {
    let mut room = room();
    assert_eq!(room.tries_to_ring(&json!("Ring")), Err(json!("NotDue")));
    room.does("ada", json!("Start"));
    room.now = room.alarm_at().unwrap() - 1;
    assert_eq!(room.tries_to_ring(&json!("Ring")), Err(json!("NotDue")));
}

#[test]
fn a_snapshot_restores_the_very_timer() {
    let mut room = set_to(10, true);
    room.does("ada", json!("Start"));
    room.rings(3);
    room.restores();
}
