//! A snapshot that comes in parts: kept over lost connections, proved before it is used, bounded.

use bytes::Bytes;
use reapply_sync::limits::{SNAPSHOT_BYTES_MAX, WAITING_BYTES_MAX};
use reapply_sync::{
    Chain, ClientKey, ClientMessage, Digest, Goodbye, HeldSnapshot, Number, Phase, Replica, Seq, ServerMessage,
    SnapshotInParts, Start, Timestamp, Welcome,
};

use crate::replica_scenarios::{foreign, send, sent, welcome};
use crate::tally::{Applied, Tally, digest};

fn state(values: u64) -> Bytes {
    let applied: Applied = (0..values).map(|value| (2 * value + 1, 0, 0)).collect();
    postcard::to_allocvec(&applied).unwrap().into()
}

fn parts(state: &Bytes, from: usize) -> ServerMessage {
    let (bytes, from) = (state.len() as u64, from as u64);
    let (seq, time, chain) = (Seq(5), Timestamp(5), Chain([3; 32]));
    let hash = Digest::of(state);
    let snapshot = SnapshotInParts { seq, state_version: 1, time, chain, hash, bytes, from };
    let start = Start::Parts(Box::new(snapshot));
    ServerMessage::Welcome(welcome(start, 5, 0))
}

fn part(state: &Bytes, at: usize, end: usize) -> ServerMessage {
    ServerMessage::Part { at: at as u64, bytes: state.slice(at..end) }
}

fn new() -> Replica<Tally> {
    let mut replica = Replica::new(ClientKey([4; 16]), Number(0));
    replica.handle_connected();
    assert_eq!(held(&mut replica), None);
    replica
}

/// Returns the snapshot that the replica claims to hold in its `Hello`.
fn held(replica: &mut Replica<Tally>) -> Option<HeldSnapshot> {
    match &sent(replica)[..] {
        [ClientMessage::Hello(hello)] => hello.held,
        other => panic!("{other:?}"),
    }
}

fn reconnect(replica: &mut Replica<Tally>) -> Option<HeldSnapshot> {
    replica.handle_disconnected();
    replica.handle_connected();
    held(replica)
}

fn failure(replica: &Replica<Tally>) -> &str {
    match replica.goodbye() {
        Some(Goodbye::RoomFailed(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_snapshot_goes_on_where_each_connection_broke_off() {
    let state = state(40);
    let mut replica = new();
    send(&mut replica, &parts(&state, 0));
    assert_eq!(replica.needs_machine(), Some(digest()), "it is loaded meanwhile");
    send(&mut replica, &part(&state, 0, 50));
    assert_eq!(replica.arriving(), Some((50, state.len() as u64)));
    let hash = Digest::of(&state);
    assert_eq!(reconnect(&mut replica), Some(HeldSnapshot { hash, bytes: 50 }));
    // A part that was under way on the former connection does not belong to this one.
    send(&mut replica, &part(&state, 50, 60));
    assert_eq!(replica.arriving(), Some((50, state.len() as u64)));
    send(&mut replica, &parts(&state, 48));
    replica.handle_machine(digest(), Tally::default());
    send(&mut replica, &ServerMessage::Pong(7));
    send(&mut replica, &part(&state, 48, state.len()));
    assert_eq!((replica.poll_pong(), replica.arriving(), replica.phase()), (Some(7), None, Phase::Live));
    assert_eq!(sent(&mut replica), [ClientMessage::Arrived(hash)]);
    send(&mut replica, &ServerMessage::Events(vec![foreign(6, 3)]));
    assert_eq!(replica.confirmed_at().map(|(seq, _)| seq), Some(Seq(6)));
    assert_eq!(replica.confirmed().map(|(_, state)| state.applied.len()), Some(41));
    assert_eq!(reconnect(&mut replica), None);
}

#[test]
fn what_has_arrived_waits_for_its_machine_over_lost_connections() {
    let state = state(40);
    let mut replica = new();
    send(&mut replica, &parts(&state, 0));
    send(&mut replica, &part(&state, 0, state.len()));
    sent(&mut replica);
    let bytes = state.len() as u64;
    assert_eq!(reconnect(&mut replica), Some(HeldSnapshot { hash: Digest::of(&state), bytes }));
    send(&mut replica, &parts(&state, state.len()));
    assert_eq!(replica.needs_machine(), Some(digest()));
    replica.handle_machine(digest(), Tally::default());
    assert_eq!((replica.phase(), replica.arriving()), (Phase::Live, None));
}

#[test]
fn another_snapshot_is_begun_anew_and_the_state_before_is_shown_until_it_is_here() {
    let (first, second) = (state(40), state(50));
    let mut replica = new();
    send(&mut replica, &parts(&first, 0));
    send(&mut replica, &part(&first, 0, first.len()));
    replica.handle_machine(digest(), Tally::default());
    sent(&mut replica);
    assert_eq!(reconnect(&mut replica), None);
    send(&mut replica, &parts(&second, 0));
    send(&mut replica, &part(&second, 0, 10));
    assert_eq!(replica.confirmed().map(|(_, state)| state.applied.len()), Some(40));
    assert_eq!(replica.phase(), Phase::Joining);
    assert!(reconnect(&mut replica).is_some());
    send(&mut replica, &parts(&first, 0));
    assert_eq!(replica.arriving(), Some((0, first.len() as u64)));
    send(&mut replica, &part(&first, 0, first.len()));
    assert_eq!(replica.phase(), Phase::Live);
}

#[test]
fn what_is_not_as_the_room_announced_it_is_a_fault_and_is_fetched_anew() {
    let state = state(40);
    let forged = Bytes::from(vec![7; state.len()]);
    let cases: [(&[ServerMessage], &str); 4] = [
        (&[parts(&state, 0), part(&forged, 0, state.len())], "and the room named"),
        (&[parts(&state, 0), part(&state, 0, 10), part(&state, 20, 30)], "byte 20 came where byte 10 was due"),
        (&[parts(&state, 0), part(&[&state[..], b"x"].concat().into(), 0, state.len() + 1)], "more came than its"),
        (&[parts(&state, 10)], "goes on at byte 10 of a snapshot of which 0 bytes are here"),
    ];
    for (messages, expected) in cases {
        let mut replica = new();
        replica.handle_machine(digest(), Tally::default());
        messages.iter().for_each(|message| send(&mut replica, message));
        assert!(failure(&replica).contains(expected), "{}", failure(&replica));
        assert!(replica.confirmed_at().is_none());
        sent(&mut replica);
        assert_eq!(reconnect(&mut replica), None);
        assert_eq!(replica.goodbye(), None);
    }
}

#[test]
fn a_snapshot_over_the_limit_is_refused_before_any_of_it_is_kept() {
    let mut replica = new();
    let ServerMessage::Welcome(welcome) = parts(&state(1), 0) else { panic!() };
    let Start::Parts(snapshot) = welcome.start else { panic!() };
    let start = Start::Parts(Box::new(SnapshotInParts { bytes: SNAPSHOT_BYTES_MAX as u64 + 1, ..*snapshot }));
    send(&mut replica, &ServerMessage::Welcome(Welcome { start, ..welcome }));
    assert!(failure(&replica).contains("the limit is"), "{}", failure(&replica));
    assert_eq!(replica.arriving(), None);
}

#[test]
fn parts_take_nothing_of_what_may_wait_for_the_machine() {
    let state = Bytes::from(vec![0; WAITING_BYTES_MAX + 1]);
    let mut replica = new();
    send(&mut replica, &parts(&state, 0));
    send(&mut replica, &part(&state, 0, state.len()));
    send(&mut replica, &ServerMessage::Events(vec![foreign(6, 3)]));
    sent(&mut replica);
    replica.handle_machine(digest(), Tally::default());
    assert!(!sent(&mut replica).iter().any(|message| matches!(message, ClientMessage::Hello(_))));
}
