//! The transitions that are held, numbered, written and sent, and the order of these steps.

use reapply_client_core::*;
use reapply_sync::Number;

use crate::rig::{Rig, SECOND};

#[test]
fn what_is_asked_for_before_the_room_is_joined_is_held_and_taken_on_then() {
    let mut rig = Rig::new();
    rig.apply(1);
    rig.identify(Store::Open);
    rig.apply(2);
    rig.open();
    rig.apply(3);
    assert_eq!((rig.driver.pending(), rig.driver.status()), (3, Status::Connecting));
    assert_eq!(
        rig.stored.entries.values().map(|entry| (&*entry.json, entry.number)).collect::<Vec<_>>(),
        [("1", None), ("2", None), ("3", None)]
    );
    rig.converse();
    assert_eq!(
        rig.told,
        ["joined", "find an orphan", "1 accepted as 1 at 1", "2 accepted as 2 at 2", "3 accepted as 3 at 3"]
    );
    assert_eq!((rig.states(), rig.driver.pending()), ((6, 6), 0));
    assert!(rig.stored.entries.is_empty());
}

#[test]
fn too_many_are_not_held() {
    let mut rig = Rig::new();
    for _ in 0..limits::HELD_MAX {
        rig.apply(0);
    }
    assert!(rig.told.is_empty());
    rig.apply(0);
    assert_eq!(rig.told, [format!("{} refused: busy", limits::HELD_MAX + 1)]);
}

#[test]
fn what_the_machine_refuses_is_not_kept() {
    let mut rig = Rig::live(Store::Open);
    rig.apply(60);
    rig.apply(60);
    let nonsense = rig.call(|driver, now| driver.apply("nonsense", now)).unwrap();
    assert_eq!(rig.told, ["2 refused: conflict".to_owned(), format!("{} refused: malformed", nonsense.0)]);
    assert_eq!((rig.states(), rig.driver.pending(), rig.stored.entries.len()), ((60, 0), 1, 1));
}

#[test]
fn a_new_page_begins_above_the_numbers_of_the_one_before() {
    let mut rig = Rig::live(Store::Open);
    rig.apply(1);
    rig.converse();
    // The last entries of the page are not written.
    rig.answers = Some(Written::No);
    rig.apply(2);
    rig.answers = Some(Written::Yes);
    rig.reload();
    rig.open();
    rig.converse();
    rig.apply(3);
    assert_eq!(rig.last_number(), Some(Number(limits::NUMBERS_RESERVED + 1)));
    // After a page that uses many numbers, the next one begins above all of them.
    for _ in 0..limits::NUMBERS_RESERVED + 5 {
        rig.apply(0);
        assert!(rig.last_number().is_some_and(|number| number.0 <= rig.stored.reserved), "it is not set aside");
        rig.converse();
    }
    rig.reload();
    rig.open();
    rig.converse();
    rig.apply(4);
    assert!(rig.last_number() > Some(Number(2 * limits::NUMBERS_RESERVED + 5)));
}

#[test]
fn a_page_that_cannot_know_its_numbers_begins_far_above_them() {
    let mut rig = Rig::live(Store::Open);
    rig.apply(1);
    rig.converse();
    // The second one is on its way to the room when the page goes.
    rig.apply(2);
    rig.load();
    rig.bits = 7;
    let identity = Identity { key: rig.key.clone(), is_given: true, is_own: true, store: Store::None, left: None };
    rig.call(|driver, now| driver.handle_identity(identity, now));
    rig.open();
    rig.converse();
    rig.apply(3);
    assert_eq!(rig.submitted(), [1 + limits::NUMBERS_SKIPPED.start + 7 + 1]);
    // It goes on from there.
    rig.cut();
    rig.wait();
    rig.open();
    rig.converse();
    rig.apply(4);
    assert_eq!(rig.submitted(), [1 + limits::NUMBERS_SKIPPED.start + 7 + 2]);
}

#[test]
fn no_number_is_used_before_it_is_set_aside() {
    let mut rig = Rig::new();
    rig.answers = None;
    rig.identify(Store::Open);
    rig.open();
    assert!(rig.sent.is_empty(), "it has greeted already");
    rig.answer(Written::Yes);
    assert_eq!(rig.sent.len(), 1);
    assert!(rig.stored.reserved >= limits::NUMBERS_RESERVED);
}

#[test]
fn a_new_transition_is_written_before_it_is_sent_and_nobody_waits_for_it() {
    let mut rig = Rig::live(Store::Open);
    rig.answers = None;
    rig.apply(1);
    assert_eq!(rig.submitted(), [1]);
    let [(_, changes)] = &rig.unanswered[..] else { panic!("{:?}", rig.unanswered) };
    let [Change::Put(entry)] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((entry.number, entry.sent_at.is_some()), (Some(Number(1)), true));
}

#[test]
fn what_the_store_says_was_never_sent_is_sent_after_the_store_says_otherwise() {
    let mut rig = Rig::live(Store::Open);
    rig.cut();
    rig.apply(1);
    assert_eq!(rig.stored.entries[&1].sent_at, None);
    rig.wait();
    rig.answers = None;
    rig.open();
    rig.converse();
    rig.apply(2);
    rig.converse();
    assert_eq!((rig.states(), rig.submitted()), ((3, 0), vec![]), "it was sent, and the store says that it was not");
    while !rig.unanswered.is_empty() {
        rig.answer(Written::Yes);
    }
    assert_eq!(rig.submitted(), [1, 2]);
    assert!(rig.stored.entries[&1].sent_at.is_some());
    rig.answers = Some(Written::Yes);
    rig.converse();
    assert_eq!((rig.states(), rig.stored.entries.len()), ((3, 3), 0));
}

#[test]
fn an_entry_without_a_number_that_was_sent_is_never_numbered_twice() {
    let mut rig = Rig::new();
    rig.identify(Store::Open);
    rig.apply(1);
    rig.reload();
    rig.answers = None;
    rig.apply(2);
    rig.answer(Written::Yes);
    rig.open();
    rig.converse();
    // The entry has its number now, and the store does not know it. The page goes before the store has answered.
    assert!(rig.submitted().is_empty());
    rig.answers = Some(Written::Yes);
    rig.reload();
    rig.open();
    rig.converse();
    assert_eq!(rig.states(), (3, 3));
}

#[test]
fn an_entry_that_cannot_be_marked_is_removed_before_it_is_sent() {
    let mut rig = Rig::live(Store::Open);
    rig.cut();
    rig.apply(1);
    rig.wait();
    rig.answers = None;
    rig.open();
    rig.converse();
    // The disk is full.
    rig.answer(Written::No);
    assert!(rig.submitted().is_empty());
    let [(_, changes)] = &rig.unanswered[..] else { panic!("{:?}", rig.unanswered) };
    assert_eq!(changes[..], [Change::Delete(1)]);
    rig.answer(Written::Yes);
    assert_eq!((rig.submitted(), rig.driver.is_durable()), (vec![1], false));
}

#[test]
fn nothing_is_sent_while_the_store_may_hold_what_was_withdrawn() {
    let mut rig = Rig::live(Store::Open);
    rig.apply(1);
    rig.apply(2);
    // The room has received neither, and another build of the machine does not read the first one.
    rig.stored.entries.get_mut(&1).unwrap().json = "nonsense".into();
    rig.reload();
    rig.answers = None;
    rig.open();
    rig.converse();
    assert_eq!(rig.submitted(), [0; 0], "the room would take the first one for decided if the next page sent it");
    let [(_, changes)] = &rig.unanswered[..] else { panic!("{:?}", rig.unanswered) };
    assert_eq!(changes[..], [Change::Delete(1)]);
    rig.answer(Written::No);
    assert_eq!(rig.submitted(), [0; 0]);
    while !rig.told.contains(&"open the store".to_owned()) {
        rig.wait();
    }
    rig.call(|driver, _| driver.handle_store_opened());
    rig.answer(Written::Yes);
    assert_eq!(rig.submitted(), [2]);
    assert!(!rig.stored.entries.contains_key(&1));
}

#[test]
fn what_could_not_be_written_is_written_again_after_a_while() {
    let mut rig = Rig::live(Store::Open);
    rig.cut();
    rig.answers = Some(Written::No);
    rig.apply(1);
    assert!(!rig.driver.is_durable());
    rig.answers = Some(Written::Yes);
    let failed_at = rig.now;
    while !rig.told.contains(&"open the store".to_owned()) {
        rig.wait();
    }
    assert!(rig.now >= failed_at + limits::REWRITE_AFTER_MICROS);
    rig.call(|driver, _| driver.handle_store_opened());
    assert!(rig.driver.is_durable());
    assert_eq!(rig.stored.entries.len(), 1);
}

#[test]
fn a_store_that_opens_late_gets_everything_and_holds_nobody_up() {
    let mut rig = Rig::live(Store::Closed);
    rig.apply(1);
    assert_eq!((rig.submitted(), rig.driver.is_durable()), (vec![1], false));
    rig.cut();
    rig.apply(2);
    rig.call(|driver, _| driver.handle_store_opened());
    assert!(rig.driver.is_durable());
    let numbers: Vec<_> = rig.stored.entries.values().map(|entry| (entry.number, entry.sent_at.is_some())).collect();
    assert_eq!(numbers, [(Some(Number(1)), true), (Some(Number(2)), false)]);
    // The browser closes the store, and somebody clears it.
    rig.call(|driver, now| driver.handle_store_closed(now));
    assert!(!rig.driver.is_durable());
    rig.stored.entries.clear();
    rig.call(|driver, _| driver.handle_store_opened());
    assert_eq!((rig.driver.is_durable(), rig.stored.entries.len()), (true, 2));
}

#[test]
fn what_earlier_pages_have_left_is_pending_and_told_by_itself() {
    let mut rig = Rig::live(Store::Open);
    rig.cut();
    rig.apply(1);
    rig.apply(2);
    rig.now += SECOND;
    rig.reload();
    assert_eq!(rig.driver.pending(), 2);
    rig.told.clear();
    rig.open();
    rig.converse();
    rig.told.retain(|told| told.starts_with("returned"));
    assert_eq!(rig.told, ["returned 1 accepted as 1 at 1", "returned 2 accepted as 2 at 2"]);
    assert!(rig.stored.entries.is_empty());
}

#[test]
fn what_a_page_asks_for_just_before_it_leaves_is_kept() {
    let mut rig = Rig::live(Store::Open);
    rig.call(|driver, now| {
        driver.apply("1", now).unwrap();
        driver.handle_close(now);
    });
    assert_eq!(rig.stored.entries.len(), 1);
    rig.reload();
    assert_eq!(rig.driver.pending(), 1);
}

#[test]
fn a_page_whose_client_was_taken_over_writes_nothing_any_more() {
    let mut rig = Rig::live(Store::Open);
    rig.answers = None;
    rig.call(|driver, _| driver.handle_identity_lost());
    assert_eq!(rig.told, ["closed: another page is this client now"]);
    assert!(rig.call(|driver, now| driver.apply("1", now)).is_err());
    assert!(rig.unanswered.is_empty());
}
