//! The driver's connections: when it connects, when it gives up, and the reasons that it shows.

use reapply_client_core::*;
use reapply_sync::{
    Author, Capabilities, Chain, ClientId, Digest, Event, Goodbye, Input, LogId, Number, Seq, ServerMessage, SessionId,
    SnapshotInParts, Start, Timestamp, VERSION, Welcome,
};

use crate::rig::{Rig, digest};

fn refused(retry: bool) -> Goodbye {
    Goodbye::Refused { why: "not from here".into(), retry }
}

#[test]
fn waits_grow_and_are_short_again_after_a_good_connection() {
    let mut rig = Rig::new();
    rig.identify(Store::None);
    let mut waits = Vec::new();
    for _ in 0..3 {
        rig.cut();
        waits.push(rig.driver.wake_at().unwrap().0 - rig.now);
        rig.wait();
    }
    assert_eq!(waits, [249_999, 499_999, 999_999]);
    rig.open();
    rig.now += limits::GOOD_AFTER_MICROS;
    rig.cut();
    assert_eq!(rig.driver.wake_at().unwrap().0 - rig.now, 249_999);
    assert_eq!(rig.driver.status(), Status::Offline);
    // The network is back, so the driver stops waiting.
    let former = rig.connection;
    rig.call(|driver, now| driver.handle_wake(now));
    assert_ne!(rig.connection, former);
}

#[test]
fn a_silent_connection_is_given_up_and_one_that_answers_is_not() {
    let mut rig = Rig::live(Store::None);
    for _ in 0..5 {
        rig.wait();
        rig.converse();
    }
    assert_eq!(rig.driver.status(), Status::Live);
    rig.wait();
    while rig.driver.status() == Status::Live {
        rig.wait();
    }
    assert_eq!((rig.driver.status(), rig.driver.reason()), (Status::Offline, None));
}

#[test]
fn a_connection_that_does_not_open_is_given_up() {
    let mut rig = Rig::new();
    let first = rig.connection;
    while rig.connection == first {
        assert!(rig.now <= limits::SILENCE_MAX_MICROS + limits::HEARTBEAT_MICROS);
        rig.wait();
    }
}

#[test]
fn a_goodbye_says_whether_to_come_back_and_why_the_page_is_not_there() {
    let mut rig = Rig::live(Store::None);
    rig.goodbye(refused(true));
    assert_eq!((rig.driver.status(), rig.driver.reason()), (Status::Offline, Some("not from here")));
    rig.wait();
    rig.open();
    rig.converse();
    assert_eq!((rig.driver.status(), rig.driver.reason()), (Status::Live, None));
    rig.goodbye(refused(false));
    assert_eq!(rig.driver.status(), Status::Closed);
    assert_eq!(rig.told.last().unwrap(), "closed: not from here");
}

#[test]
fn a_goodbye_before_it_is_known_who_this_is_is_heard() {
    let mut rig = Rig::new();
    rig.open();
    rig.goodbye(refused(true));
    assert_eq!((rig.driver.status(), rig.driver.reason()), (Status::Offline, Some("not from here")));
    rig.wait();
    rig.open();
    rig.identify(Store::None);
    rig.converse();
    assert_eq!(rig.driver.status(), Status::Live);
}

#[test]
fn a_goodbye_that_has_come_counts_more_than_the_end_of_the_connection() {
    let mut rig = Rig::live(Store::None);
    let connection = rig.connection.unwrap();
    let goodbye = reapply_sync::ServerMessage::Goodbye(refused(false)).encode();
    rig.call(|driver, now| {
        driver.handle_frame(connection, &goodbye, now);
        driver.handle_lost(connection, Some("the socket says less".into()), now);
    });
    assert_eq!(rig.told, ["closed: not from here"]);
}

#[test]
fn a_replaced_session_comes_back_a_few_times_where_no_other_page_can_be_this_client() {
    let mut rig = Rig::live(Store::None);
    for _ in 0..limits::REPLACED_MAX {
        rig.goodbye(Goodbye::Replaced);
        assert_eq!(rig.driver.status(), Status::Offline);
        rig.call(|driver, now| driver.handle_wake(now));
        rig.open();
        rig.converse();
    }
    rig.goodbye(Goodbye::Replaced);
    assert_eq!(rig.driver.status(), Status::Closed);
}

#[test]
fn a_machine_that_is_not_to_be_had_is_asked_for_again_and_one_that_does_not_run_ends_it() {
    let mut rig = Rig::live(Store::None);
    let failure = MachineFailure::Unavailable("404".into());
    rig.call(|driver, now| driver.handle_machine_failed(digest(), failure, now));
    assert_eq!(rig.driver.reason(), Some("the machine could not be loaded: 404"));
    assert_eq!(rig.driver.status(), Status::Offline);
    rig.wait();
    rig.open();
    rig.converse();
    assert_eq!(rig.driver.reason(), None);
    let failure = MachineFailure::Unusable("no wasm here".into());
    rig.call(|driver, now| driver.handle_machine_failed(Digest::of(b""), failure, now));
    assert_eq!(rig.told.last().unwrap(), "closed: no wasm here");
}

#[test]
fn what_is_no_message_ends_the_connection() {
    let mut rig = Rig::live(Store::None);
    rig.receive(&[0xff; 3]);
    assert_eq!(rig.driver.status(), Status::Offline);
    assert!(rig.told[0].starts_with("report "), "{:?}", rig.told);
}

#[test]
fn the_hosts_time_and_its_distance_are_known() {
    let mut rig = Rig::live(Store::None);
    let time = rig.call(|driver, now| driver.time(now));
    assert_eq!(time.0, 1_000_000_000 + rig.now, "and not an hour, as the clock here says");
    assert_eq!(rig.driver.latency_micros(), Some(0.0));
}

#[test]
fn it_tells_of_changes_that_can_be_seen_and_of_no_others() {
    let mut rig = Rig::live(Store::None);
    let (revision, states) = (rig.driver.revision(), rig.driver.states_revision());
    rig.wait();
    rig.converse();
    assert_eq!((rig.driver.revision(), rig.driver.states_revision()), (revision, states));
    rig.apply(1);
    assert_ne!(rig.driver.states_revision(), states);
    let revision = rig.driver.revision();
    rig.cut();
    assert_ne!(rig.driver.revision(), revision);
}

#[test]
fn what_has_arrived_of_a_large_state_stays_and_makes_the_next_wait_short() {
    let mut rig = Rig::new();
    rig.identify(Store::None);
    for _ in 0..3 {
        rig.cut();
        rig.wait();
    }
    let state = 5_u64.to_le_bytes();
    let welcome = |from| Welcome {
        version: VERSION,
        capabilities: Capabilities::OURS,
        session: SessionId(1),
        participant: Author("me".into()),
        log: LogId([1; 16]),
        digest: digest(),
        start: Start::Parts(Box::new(SnapshotInParts {
            seq: Seq(0),
            state_version: 1,
            time: Timestamp(0),
            chain: Chain([0; 32]),
            hash: Digest::of(&state),
            bytes: 8,
            from,
        })),
        head: Seq(0),
        decided: Number(0),
        taken: Number(0),
        rejected: Vec::new(),
        forgotten: None,
        time: Timestamp(0),
    };
    let part = |at: usize, end: usize| ServerMessage::Part { at: at as u64, bytes: state[at..end].to_vec().into() };
    rig.open();
    rig.receive(&ServerMessage::Welcome(welcome(0)).encode());
    let revision = rig.driver.revision();
    rig.receive(&part(0, 6).encode());
    assert_eq!((rig.driver.arriving(), rig.driver.status()), (Some((6, 8)), Status::Connecting));
    assert_ne!(rig.driver.revision(), revision);
    rig.cut();
    assert_eq!((rig.driver.arriving(), rig.driver.status()), (Some((6, 8)), Status::Offline));
    assert_eq!(rig.driver.wake_at().unwrap().0 - rig.now, limits::BACKOFF_FIRST_MICROS - 1);
    rig.wait();
    rig.open();
    rig.receive(&ServerMessage::Welcome(welcome(6)).encode());
    rig.receive(&part(6, 8).encode());
    assert_eq!((rig.driver.arriving(), rig.driver.status(), rig.states()), (None, Status::Live, (5, 5)));
}

#[test]
fn a_view_that_is_behind_is_made_right_after_a_short_while() {
    let mut rig = Rig::live(Store::None);
    for _ in 0..600 {
        rig.apply(0);
    }
    let (author, client, number) = (Author("another".into()), ClientId([9; 16]), Number(1));
    let input = Input::Transition { author, client, number, transition: "5".into() };
    let event = Event { seq: Seq(1), time: Timestamp(1), entropy: 0, input };
    rig.receive(&ServerMessage::Events(vec![event]).encode());
    assert_eq!(rig.states(), (0, 5));
    let revision = rig.driver.states_revision();
    let wait = rig.driver.wake_at().unwrap().0 - rig.now;
    assert!(wait <= limits::BEHIND_MAX_MICROS, "{wait}");
    rig.wait();
    assert_eq!(rig.states(), (5, 5));
    assert_ne!(rig.driver.states_revision(), revision);
}
