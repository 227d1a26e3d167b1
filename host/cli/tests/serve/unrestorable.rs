//! States that take more stack to restore than their events took. Their rooms open nevertheless, and do not delay other rooms.

use std::path::Path;

use reapply_journal::{Journal, RoomRecord, SqliteJournal};
use reapply_sync::Snapshot;
use reapply_testing::machine_wat::{MachineWat, describe};
use reapply_testing::{Host, http, until_blocking};
use serde_json::{Value, json};

use crate::PROGRAM;
use crate::exports::succeeds;
use crate::life::{listed, wait_for_sleep};

/// The number of bytes of a transition, which the state grows by.
const STEP: usize = 50_000;

/// The number of transitions after which the state takes more stack to restore than any replay has.
const STEPS: usize = 4;

/// Returns a machine whose state is a number, and whose `restore` recurses as deep as that number. Its view is `view`, one digit.
fn recursive(view: &'static str) -> MachineWat {
    MachineWat {
        more: "(func $deep (param i32) (result i32)
                 (if (result i32) (local.get 0)
                   (then (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
                   (else (i32.const 0))))",
        restore: "(call $ok (call $new (call $deep (i32.load (local.get $snapshot)))))",
        view,
        ..MachineWat::default()
    }
}

const ZERO: &str = "(i32.store8 (i32.const 16) (i32.const 48)) (call $bytes (i32.const 16) (i32.const 1))";
const ONE: &str = "(i32.store8 (i32.const 16) (i32.const 49)) (call $bytes (i32.const 16) (i32.const 1))";

fn sleepy_host(machine: &MachineWat) -> Host {
    let host = Host::start_program(Path::new(PROGRAM), &["--sleep-after", "100ms"]);
    deploy(&host, machine);
    host
}

pub(crate) fn deploy(host: &Host, machine: &MachineWat) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("machine.wasm");
    std::fs::write(&file, machine.component()).unwrap();
    host.deploy_file("wat", &file)
}

/// Adds `bytes` to the state, and returns the event's seq.
fn add(host: &Host, room: &str, bytes: usize) -> Value {
    let answer = host.submit(room, &json!("x".repeat(bytes - 2)).to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["seq"].clone()
}

/// Returns the seqs of the snapshots that the journal has of a room.
pub(crate) fn snapshots(host: &Host, room: &str) -> Vec<i64> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(host.data().join("journal.db"), flags).unwrap();
    let query = "SELECT seq FROM snapshots JOIN rooms ON rooms.id = snapshots.room WHERE rooms.room = ?1 ORDER BY seq";
    let mut statement = database.prepare(query).unwrap();
    statement.query_map([room], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Returns the last event of a room's log, including checkpoints.
fn head(host: &Host, room: &str) -> u64 {
    host.events(room).last().unwrap()["seq"].as_u64().unwrap()
}

#[test]
fn a_state_that_takes_more_stack_to_restore_than_to_make_is_restored() {
    let host = sleepy_host(&recursive(ZERO));
    // More than the stack that judges new events, less than that of a replay: some 16 to 50 bytes a frame.
    add(&host, "wat/deep", 20_000);
    wait_for_sleep(&host, "deep", 1);
    assert_eq!(snapshots(&host, "deep"), [1]);
    // The checkpoint of its snapshot was the second event.
    assert_eq!(host.room("wat/deep")["seq"], 2);
    assert_eq!(add(&host, "wat/deep", 5), 3);
    assert!(!host.log().contains("cannot be"), "{}", host.log());
}

#[test]
fn a_room_recovers_a_state_that_takes_more_stack_to_restore_than_to_make() {
    let apply = "(if (i32.eq (local.get $length) (i32.const 9)) (then (unreachable)))
        (call $ok (call $new (i32.add (local.get $state) (local.get $length))))";
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    deploy(&host, &MachineWat { apply, ..recursive(ZERO) });
    succeeds(&host.command("retain", &["wat", "--snapshot-events", "1"]));
    // The room continues from a snapshot of that state, without having been opened from one.
    add(&host, "wat/deep", 20_000);
    add(&host, "wat/deep", 5);
    until_blocking("there is a snapshot", || snapshots(&host, "deep").pop().ok_or_else(|| "none".to_owned()));
    let trapped = host.submit("wat/deep", &json!("x".repeat(7)).to_string());
    assert_eq!(trapped.status, 422, "{}", trapped.text());
    add(&host, "wat/deep", 5);
    assert!(!host.log().contains("cannot go on"), "{}", host.log());
}

#[test]
fn a_snapshot_that_cannot_be_restored_is_not_stored_and_the_operator_hears_of_it_once() {
    let told = "the room's snapshot was tried and cannot be restored, so it is not stored: the machine ";
    let mut host = sleepy_host(&recursive(ZERO));
    for _ in 0..STEPS {
        add(&host, "wat/deep", STEP);
    }
    host.wait_for_log(told);
    // The room's log grows, it sleeps and wakes, and each time a snapshot would be due.
    for _ in 0..STEPS {
        wait_for_sleep(&host, "deep", 1);
        add(&host, "wat/deep", STEP);
    }
    wait_for_sleep(&host, "deep", 1);
    let lines = host.log().lines().filter(|line| line.contains(told)).count();
    assert_eq!(lines, 1, "{}", host.log());
    let troubles = listed(&host, "deep")["troubles"].clone();
    assert!(matches!(&troubles.as_array().unwrap()[..], [Value::String(why)] if why.starts_with(told)), "{troubles}");
    let head = head(&host, "wat/deep");
    host.kill_9();
    host.restart();
    assert!(host.room("wat/deep")["seq"].as_u64() >= Some(head));
    assert!(add(&host, "wat/deep", 5).as_u64() > Some(head));
    assert!(!host.log().contains("a snapshot cannot be used"), "{}", host.log());
}

/// Stores a snapshot of the room's head that no build restores, like an earlier version, which did not try snapshots. The host is not running.
pub(crate) fn plant_snapshot(host: &Host, room: &str) {
    let plant = async {
        let journal = SqliteJournal::open(host.data()).unwrap().journal;
        let room = room.parse().unwrap();
        let RoomRecord { head: seq, digest, time, chain, .. } = journal.room(&room).await.unwrap().unwrap();
        let state = 200_000_u32.to_le_bytes().to_vec().into();
        let (clients, forgotten, present) = (Vec::new(), None, Vec::new());
        let snapshot = Snapshot { seq, digest, state_version: 1, time, chain, clients, forgotten, present, state };
        journal.put_snapshot(&room, snapshot).await.unwrap();
    };
    // The test may have a runtime of its own.
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(plant);
    std::thread::scope(|scope| scope.spawn(run).join()).unwrap();
}

#[test]
fn a_room_whose_snapshot_cannot_be_restored_opens_from_its_log() {
    let mut host = sleepy_host(&recursive(ZERO));
    for _ in 0..STEPS {
        add(&host, "wat/deep", STEP);
    }
    let head = head(&host, "wat/deep");
    host.stop();
    plant_snapshot(&host, "wat/deep");
    host.restart();
    assert!(add(&host, "wat/deep", 5).as_u64() > Some(head));
    host.wait_for_log("a snapshot cannot be used; the state is made from an earlier one and the log");
    assert_eq!(http::get(&host.url(&format!("/rooms/wat/deep?seq={head}"))).status, 200);
    host.kill_9();
    host.restart();
    assert!(host.room("wat/deep")["seq"].as_u64() > Some(head));
    assert!(add(&host, "wat/deep", 5).as_u64() > Some(head + 1));
}

/// Returns a machine of a later version, which does not restore its own snapshots.
fn forgetful() -> MachineWat {
    MachineWat {
        describe: describe("wat", 2, "{}"),
        restore: "(if (i32.and (i32.eq (local.get $version) (i32.const 2)) (i32.ne (i32.load (local.get $snapshot)) (i32.const 0)))
                    (then (unreachable)))
                  (call $ok (call $new (i32.load (local.get $snapshot))))",
        ..MachineWat::default()
    }
}

#[test]
fn a_build_that_does_not_restore_its_own_snapshot_takes_over_no_room() {
    let host = sleepy_host(&MachineWat::default());
    add(&host, "wat/lobby", 5);
    deploy(&host, &forgetful());
    let refused = host.command("upgrade", &["wat"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
    assert!(!refused.status.success() && told.contains("it does not restore its own snapshot: "), "{told}");
    assert_eq!(add(&host, "wat/lobby", 5), 2);
}

/// Returns a machine whose `apply` costs 100 times more on a restored state than on a created one, and more than a new event may cost.
fn costly_when_restored() -> MachineWat {
    MachineWat {
        more: "(global $rounds (mut i32) (i32.const 300000))",
        restore: "(global.set $rounds (i32.const 30000000)) (call $ok (call $new (i32.load (local.get $snapshot))))",
        apply: "(local $left i32)
                (local.set $left (global.get $rounds))
                (loop $again
                  (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                  (br_if $again (local.get $left)))
                (call $ok (call $new (i32.add (local.get $state) (local.get $length))))",
        ..MachineWat::default()
    }
}

#[test]
fn what_was_accepted_is_not_judged_again_by_its_cost() {
    let mut host = Host::start_program(Path::new(PROGRAM), &[]);
    deploy(&host, &costly_when_restored());
    // A snapshot in the middle, so that the events after it are applied to a restored state.
    assert!(host.command("retain", &["wat", "--snapshot-events", "2"]).status.success());
    for _ in 0..4 {
        add(&host, "wat/costly", 5);
    }
    // The snapshot is stored once it was tried.
    until_blocking("a snapshot is stored", || {
        if snapshots(&host, "costly").is_empty() { Err(host.log()) } else { Ok(()) }
    });
    host.kill_9();
    host.restart();
    assert!(host.room("wat/costly")["seq"].as_u64() >= Some(4), "{}", host.room("wat/costly"));
    let verified = host.command("verify", &["wat/costly"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    // New events are judged as before.
    let refused = host.submit("wat/costly", "1");
    assert_eq!(refused.status, 422, "{}", refused.text());
}

#[test]
fn a_room_that_no_build_restores_holds_up_no_other_room_unless_asked() {
    let host = sleepy_host(&recursive(ZERO));
    for _ in 0..STEPS {
        add(&host, "wat/deep", STEP);
    }
    add(&host, "wat/flat", 5);
    deploy(&host, &recursive(ONE));

    let refused = host.command("upgrade", &["wat", "--all-or-nothing"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
    assert!(!refused.status.success() && told.contains("1 of 2 rooms would fail: wat/deep"), "{told}");

    let upgraded = host.command("upgrade", &["wat"]);
    let told = String::from_utf8_lossy(&upgraded.stdout);
    assert!(upgraded.status.success(), "{told}{}", String::from_utf8_lossy(&upgraded.stderr));
    let broken = "broken   wat/deep: the build that it runs cannot make the state at ";
    assert!(told.contains(broken) && told.contains(": it does not restore its own snapshot: "), "{told}");
    assert!(told.contains("upgraded wat/flat at event 2"), "{told}");
    assert_eq!((&host.room("wat/deep")["view"], &host.room("wat/flat")["view"]), (&json!(0), &json!(1)));
}
