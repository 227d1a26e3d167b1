//! The order in which transitions are taken on and sent, if something happens in between.

use reapply_client_core::*;
use reapply_sync::room::Ticks;
use reapply_sync::{ClientMessage, Fault};

use crate::rig::Rig;

#[test]
fn what_is_asked_for_while_there_is_no_state_is_taken_on_before_what_comes_later() {
    let mut rig = Rig::live(Store::Open);
    // The machine breaks off, so there is no state until the room has sent one.
    rig.call(|driver, _| driver.handle_fault(&Fault::Trapped("once".to_owned())));
    rig.apply(1);
    let frames = rig.answers_of_room();
    assert!(!frames.is_empty());
    let connection = rig.connection.unwrap();
    rig.call(|driver, now| {
        frames.iter().for_each(|frame| driver.handle_frame(connection, frame, now));
        driver.apply("2", now).unwrap();
    });
    rig.converse();
    let decided: Vec<_> = rig.told.iter().filter(|told| told.contains("accepted")).collect();
    assert_eq!(decided, ["1 accepted as 1 at 1", "2 accepted as 2 at 2"]);
}

#[test]
fn what_waited_for_the_store_on_one_connection_is_not_the_first_word_on_the_next() {
    let mut rig = Rig::live(Store::Open);
    rig.cut();
    // The entry is written as never sent, so the store must say otherwise first.
    rig.apply(1);
    rig.wait();
    rig.answers = None;
    rig.open();
    rig.converse();
    assert!(rig.submitted().is_empty() && !rig.unanswered.is_empty());
    rig.cut();
    while !rig.unanswered.is_empty() {
        rig.answer(Written::Yes);
    }
    rig.now = rig.driver.wake_at().unwrap_or(Ticks(0)).0;
    rig.call(|driver, now| driver.handle_timer(now));
    rig.open();
    let first = rig.sent.first().map(|frame| ClientMessage::decode(frame).unwrap());
    assert!(matches!(first, Some(ClientMessage::Hello(_))), "{first:?}");
    assert!(rig.submitted().is_empty());
}
