//! Rooms that sleep between changes: their snapshots, and the trims of their logs.

use std::path::Path;

use reapply_testing::machine_wat::MachineWat;
use reapply_testing::{Host, http, until_blocking};
use serde_json::json;

use crate::PROGRAM;
use crate::life::wait_for_sleep;
use crate::unrestorable::{deploy, snapshots};

/// The number of times that a room is changed and sleeps.
const ROUNDS: u64 = 40;

/// Returns a machine whose snapshots have 600,000 bytes.
fn large() -> MachineWat {
    MachineWat {
        snapshot: "(i32.store (i32.const 65536) (local.get $state)) (call $bytes (i32.const 65536) (i32.const 600000))",
        memory: "12",
        ..MachineWat::default()
    }
}

fn restless_host(arguments: &[&str]) -> Host {
    let host = Host::start_program(Path::new(PROGRAM), &[&["--sleep-after", "10ms"], arguments].concat());
    deploy(&host, &large());
    host
}

/// Changes the room a little and lets it sleep, again and again.
fn change_between_sleeps(host: &Host, room: &str) {
    for _ in 0..ROUNDS {
        let answer = host.submit(&format!("wat/{room}"), &json!("edit").to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
        wait_for_sleep(host, room, answer.json()["seq"].as_u64().unwrap());
    }
}

/// Returns the last event of a room's log.
fn head(host: &Host, room: &str) -> u64 {
    host.events(&format!("wat/{room}")).last().unwrap()["seq"].as_u64().unwrap()
}

#[test]
fn small_changes_of_a_large_state_store_no_snapshot_each_time_that_the_room_sleeps() {
    let mut host = restless_host(&[]);
    change_between_sleeps(&host, "lobby");
    assert!(snapshots(&host, "lobby").is_empty(), "{:?}", snapshots(&host, "lobby"));
    assert_eq!(head(&host, "lobby"), ROUNDS);
    // The host's end is a sleep too.
    host.stop();
    host.restart();
    assert!(snapshots(&host, "lobby").is_empty());
    assert_eq!(host.room("wat/lobby")["seq"], ROUNDS);
}

#[test]
fn a_room_that_sleeps_after_each_change_is_trimmed_as_its_policy_says() {
    let host = restless_host(&[]);
    assert!(host.command("retain", &["wat", "--snapshot-events", "10", "--trim"]).status.success());
    change_between_sleeps(&host, "lobby");
    let begins = until_blocking("the log is trimmed", || {
        let log = http::get(&host.url("/rooms/wat/lobby/log?limit=1"));
        match log.json_lines().first().and_then(|event| event["seq"].as_u64()) {
            Some(first) if first > ROUNDS / 2 => Ok(first - 1),
            other => Err(format!("it begins with {other:?}; {}", host.log())),
        }
    });
    // One for ten events, and the trim has left the last ones.
    let stored = snapshots(&host, "lobby");
    assert!(stored.len() <= 2 && stored.contains(&begins.cast_signed()), "{stored:?}, {begins}");
    let checkpoints = http::get(&host.url("/rooms/wat/lobby/log?kind=checkpoint")).json_lines();
    assert!(checkpoints.len() < 4, "{checkpoints:?}");
    assert!(head(&host, "lobby") <= ROUNDS + ROUNDS / 10);
    let verified = host.command("verify", &["wat/lobby"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn a_room_whose_log_has_outgrown_its_snapshot_stores_one_and_its_checkpoint_before_it_sleeps() {
    let host = Host::start_program(Path::new(PROGRAM), &["--sleep-after", "100ms"]);
    deploy(&host, &MachineWat::default());
    // The first trial compiles the build once more, so it is made in a room that stays awake and waits for it.
    assert_eq!(host.submit("wat/first", &json!("x".repeat(40_000)).to_string()).status, 200);
    until_blocking("a snapshot is stored", || {
        let used = host.room("wat/first");
        if snapshots(&host, "first").is_empty() { Err(used.to_string()) } else { Ok(()) }
    });
    let answer = host.submit("wat/lobby", &json!("x".repeat(20_000)).to_string());
    assert_eq!(answer.json()["seq"], 1);
    wait_for_sleep(&host, "lobby", 2);
    assert_eq!(snapshots(&host, "lobby"), [1]);
    let checkpoints = http::get(&host.url("/rooms/wat/lobby/log?kind=checkpoint")).json_lines();
    assert_eq!(checkpoints.len(), 1, "{checkpoints:?}");
    assert_eq!(checkpoints[0]["seq"], 2);
    // The room wakes from there, and sleeps without another snapshot.
    assert_eq!(host.room("wat/lobby")["seq"], 2);
    wait_for_sleep(&host, "lobby", 2);
    assert_eq!((snapshots(&host, "lobby"), head(&host, "lobby")), (vec![1], 2));
}
