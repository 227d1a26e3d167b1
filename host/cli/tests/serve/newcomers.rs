//! Rooms that are used at any moment of falling asleep, and more rooms than there is memory for: nobody is refused who only has to wait.

use std::path::Path;
use std::thread;

use reapply_testing::machine_wat::MachineWat;
use reapply_testing::{Host, Session, http};
use serde_json::json;

use super::stopping::slow_to_restore;
use super::unrestorable::deploy;
use crate::PROGRAM;

/// Threads that use rooms at the same time.
const USERS: usize = 4;

/// Uses of rooms by each of them.
const USES: usize = 60;

/// A machine of 4 MiB, to which it writes.
fn large() -> MachineWat {
    MachineWat {
        more: "(func $fill (memory.fill (i32.const 65536) (i32.const 1) (i32.const 4128768)))",
        create: "(call $fill) (call $ok (call $new (i32.const 0)))",
        restore: "(call $fill) (call $ok (call $new (i32.load (local.get $snapshot))))",
        memory: "64",
        ..MachineWat::default()
    }
}

fn host(arguments: &[&str]) -> Host {
    let debug = [("REAPPLY_LOG".to_owned(), "info,reapply_host::room=debug".to_owned())];
    Host::start_program_in(Path::new(PROGRAM), &std::env::temp_dir(), arguments, &debug)
}

/// Returns how often rooms have fallen asleep.
fn sleeps(host: &Host) -> usize {
    host.log().matches("the room is asleep").count()
}

fn edit(host: &Host, room: &str) {
    let answer = host.submit(room, &json!("edit").to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Runs a user's work on a thread for each user.
fn at_once(work: impl Fn(usize) + Sync) {
    thread::scope(|threads| {
        for user in 0..USERS {
            let work = &work;
            threads.spawn(move || work(user));
        }
    });
}

#[test]
fn a_room_that_is_used_while_it_falls_asleep_is_there_again() {
    let host = host(&["--sleep-after", "10ms"]);
    deploy(&host, &large());
    // So that there is something to store whenever a room falls asleep.
    assert!(host.command("retain", &["wat", "--snapshot-events", "2"]).status.success());
    at_once(|user| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let room = format!("wat/{user}");
        for round in 0..USES {
            match round % 3 {
                0 => edit(&host, &room),
                1 => assert!(host.room(&room)["seq"].as_u64() >= Some(1)),
                _ => drop(runtime.block_on(Session::join(&host, &room, 1))),
            }
            // These requests take time, and so the room is used again at every moment around its sleep.
            for _ in 0..round % 8 {
                assert_eq!(http::get(&host.url("/rooms")).status, 200);
            }
        }
    });
    assert!(sleeps(&host) >= USERS, "the rooms hardly slept: {}", sleeps(&host));
}

#[test]
fn rooms_that_take_turns_in_little_memory_are_never_refused() {
    // Enough for two rooms.
    let host = host(&["--sleep-after", "1h", "--rooms-memory", "9MiB"]);
    deploy(&host, &large());
    let rooms: Vec<String> = (0..USERS + 2).map(|number| format!("wat/{number}")).collect();
    rooms.iter().for_each(|room| edit(&host, room));
    at_once(|user| {
        for round in 0..USES {
            let room = &rooms[(user + round * (user + 1)) % rooms.len()];
            match round % 2 {
                0 => edit(&host, room),
                _ => assert_eq!(http::get(&host.url(&format!("/rooms/{room}"))).status, 200),
            }
        }
    });
    assert!(sleeps(&host) > USES, "the rooms hardly slept: {}", sleeps(&host));
    let edits: usize = rooms.iter().map(|room| host.events(room).len()).sum();
    assert_eq!(edits, rooms.len() + USERS * USES / 2);
}

#[test]
fn a_newcomer_waits_for_the_memory_of_a_room_that_takes_long_to_fall_asleep() {
    // Enough for one room.
    let host = host(&["--sleep-after", "1h", "--rooms-memory", "5MiB"]);
    deploy(&host, &MachineWat { memory: "64", ..slow_to_restore() });
    // Enough for a snapshot, which is tried when the room falls asleep.
    assert_eq!(host.submit("wat/first", &json!("x".repeat(20_000)).to_string()).status, 200);
    // One of them makes the first room fall asleep, and the others find it so.
    at_once(|user| edit(&host, &format!("wat/newcomer-{user}")));
    assert!(sleeps(&host) >= USERS);
}
