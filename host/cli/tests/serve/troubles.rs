//! Rooms that do not open, or break: everybody gets the same cause, the operator is told once, and no request opens such a room again at once.

use std::path::Path;
use std::time::Instant;

use reapply_sync::Goodbye;
use reapply_testing::machine_wat::MachineWat;
use reapply_testing::{Host, http, until_blocking};
use serde_json::json;

use crate::PROGRAM;
use crate::life::{listed, wait_for_sleep};
use crate::session::refusal;
use crate::unrestorable::{deploy, plant_snapshot};
use reapply_testing::Session;

/// The time for which a room in trouble is not opened again, in seconds.
const RETRY_S: u64 = 10;

/// The number of requests of each kind for a room in trouble.
const REQUESTS: usize = 5;

/// Returns a machine whose log cannot be replayed: its `apply` traps until the alarm was read, which a replay does only at its end. It also traps on
/// a transition of nine bytes, and does not restore a deep state.
fn unrepeatable() -> MachineWat {
    MachineWat {
        more: "(global $asked (mut i32) (i32.const 0))",
        alarm: "(global.set $asked (i32.const 1)) (i64.store (i32.const 96) (i64.const 0)) (i32.const 96)",
        apply:
            "(if (i32.or (i32.eqz (global.get $asked)) (i32.eq (local.get $length) (i32.const 9))) (then (unreachable)))
                (call $ok (call $new (i32.add (local.get $state) (local.get $length))))",
        restore: "(if (i32.gt_u (i32.load (local.get $snapshot)) (i32.const 100000)) (then (unreachable)))
                  (call $ok (call $new (i32.load (local.get $snapshot))))",
        ..MachineWat::default()
    }
}

fn troubled_host() -> Host {
    let host = Host::start_program(Path::new(PROGRAM), &["--sleep-after", "100ms"]);
    deploy(&host, &unrepeatable());
    host
}

fn count(host: &Host, words: &str) -> usize {
    host.log().lines().filter(|line| line.contains(words)).count()
}

#[test]
fn options_that_a_room_cannot_begin_with_keep_nobody_from_beginning_it() {
    // Options of nine bytes lead to a state that has no snapshot.
    let create = "(call $ok (call $new (i32.eq (local.get $options_length) (i32.const 9))))";
    let snapshot = "(if (i32.eq (local.get $state) (i32.const 1)) (then (unreachable)))
        (i32.store (i32.const 16) (local.get $state)) (call $bytes (i32.const 16) (i32.const 4))";
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    deploy(&host, &MachineWat { create, snapshot, ..MachineWat::default() });
    let refused = http::put(&host.url("/rooms/wat/new"), b"123456789");
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert_eq!(host.submit("wat/new", "10").status, 200, "{}", host.log());
    assert_eq!(listed(&host, "new")["troubles"], json!([]));
}

#[tokio::test]
async fn a_room_that_does_not_open_tells_everybody_the_same_and_the_operator_once() {
    let mut host = troubled_host();
    for room in ["wat/stuck", "wat/whole"] {
        assert_eq!(host.submit(room, &json!("x").to_string()).status, 200);
    }
    host.stop();
    // Each time the room is opened, one line reports this snapshot.
    plant_snapshot(&host, "wat/stuck");
    host.restart();
    let began = Instant::now();
    let first = http::get(&host.url("/rooms/wat/stuck"));
    assert_eq!(first.status, 500, "{}", first.text());
    let (kind, cause) = first.error();
    assert!(kind == "host-fault" && cause.starts_with("the room wat/stuck could not be opened: "), "{cause}");
    for _ in 0..REQUESTS {
        assert_eq!(http::get(&host.url("/rooms/wat/stuck")).error().1, cause);
        assert_eq!(host.submit("wat/stuck", "1").error().1, cause);
        assert_eq!(refusal(&host, "wat/stuck", &[]).await, Goodbye::RoomFailed(cause.clone()));
    }
    assert_eq!(count(&host, &cause), 1, "{}", host.log());
    let opened = || count(&host, "a snapshot cannot be used");
    assert!(opened() as u64 <= 1 + began.elapsed().as_secs() / RETRY_S, "it was opened {} times", opened());
    let stuck = listed(&host, "stuck");
    assert_eq!((&stuck["troubles"], &stuck["awake"]), (&json!([cause]), &json!(false)));
    // After a while another attempt is made, with the same cause.
    until_blocking("the room is tried again", || {
        assert_eq!(http::get(&host.url("/rooms/wat/stuck")).error().1, cause);
        if opened() > 1 { Ok(()) } else { Err(host.log()) }
    });
    assert_eq!(count(&host, &cause), 1, "{}", host.log());
    // Another room has no trouble.
    let whole = listed(&host, "whole");
    assert_eq!(whole["troubles"], json!([]));
}

#[tokio::test]
async fn a_room_that_broke_says_why_to_its_sessions_and_to_whoever_comes_next() {
    let host = troubled_host();
    assert_eq!(host.submit("wat/broken", &json!("x").to_string()).status, 200);
    let mut session = Session::join(&host, "wat/broken", 1).await;
    assert_eq!(listed(&host, "broken")["awake"], json!(true));
    session.submit(1, vec![b'9'; 9]).await;
    let Goodbye::RoomFailed(cause) = session.goodbye().await else { panic!("the room did not break") };
    assert!(cause.starts_with("the room's last good state could not be made again: event 1: "), "{cause}");
    wait_for_sleep(&host, "broken", 1);
    assert_eq!(http::get(&host.url("/rooms/wat/broken")).error().1, cause);
    assert_eq!(refusal(&host, "wat/broken", &[]).await, Goodbye::RoomFailed(cause.clone()));
    assert_eq!(listed(&host, "broken")["troubles"], json!([cause]));
    assert_eq!(count(&host, &cause), 1, "{}", host.log());
}
