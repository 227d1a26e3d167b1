//! The memory for all rooms: unused rooms sleep first, and a room that does not fit comes in when another one sleeps.

use std::collections::BTreeMap;
use std::path::Path;

use rand::seq::IndexedRandom;
use reapply_sync::Goodbye;
use reapply_testing::http::{self, Answer};
use reapply_testing::machine_wat::{MachineWat, describe};
use reapply_testing::{Host, Session, until, until_blocking};
use serde_json::json;

use super::session::refusal;
use crate::PROGRAM;
use crate::crowding::deploy;
use crate::exports::random;
use crate::life::listed;
use crate::overfull::decided;
use crate::unrestorable::snapshots;

/// The memory that the hosts of these tests have for rooms: enough for three rooms of [`roomy`].
const ROOMS_MEMORY: &str = "100MiB";

const ROOMS_MEMORY_BYTES: u64 = 100 << 20;

/// Bytes of one room's memory.
const ROOM_BYTES: u64 = 30 << 20;

/// A machine of 30 MiB, all of which it writes to.
fn roomy() -> MachineWat {
    MachineWat {
        more: "(func $fill (memory.fill (i32.const 65536) (i32.const 1) (i32.const 31391744)))",
        create: "(call $fill) (call $ok (call $new (i32.const 0)))",
        restore: "(call $fill) (call $ok (call $new (i32.load (local.get $snapshot))))",
        memory: "480",
        ..MachineWat::default()
    }
}

/// A machine that takes 6 MiB more for each transition.
fn growing() -> MachineWat {
    MachineWat {
        describe: describe("growing", 1, "{}"),
        apply: "(memory.fill (i32.shl (memory.grow (i32.const 96)) (i32.const 16)) (i32.const 1) (i32.const 6291456))
            (call $ok (call $new (i32.add (local.get $state) (local.get $length))))",
        ..MachineWat::default()
    }
}

fn small_host() -> Host {
    let host = Host::start_program(Path::new(PROGRAM), &["--rooms-memory", ROOMS_MEMORY, "--sleep-after", "1h"]);
    deploy(&host, "wat", &roomy()).unwrap();
    host
}

fn submit(host: &Host, room: &str) -> Answer {
    host.submit(&format!("wat/{room}"), &json!("edit").to_string())
}

/// Submits a transition that must be accepted.
fn edit(host: &Host, room: &str) -> u64 {
    let answer = submit(host, room);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["seq"].as_u64().unwrap()
}

/// Returns which of these rooms are awake.
fn awake<'a>(host: &Host, rooms: &[&'a str]) -> Vec<&'a str> {
    rooms.iter().copied().filter(|room| listed(host, room)["awake"] == true).collect()
}

#[test]
fn rooms_that_were_unused_for_longest_sleep_for_others() {
    let host = small_host();
    for room in ["a", "b", "c"] {
        edit(&host, room);
    }
    assert_eq!(awake(&host, &["a", "b", "c"]), ["a", "b", "c"]);
    assert!(listed(&host, "a")["memory_bytes"].as_u64().unwrap() >= ROOM_BYTES);
    edit(&host, "d");
    assert_eq!(awake(&host, &["a", "b", "c", "d"]), ["b", "c", "d"]);
    assert_eq!(listed(&host, "a")["memory_bytes"], 0);
    // Looking at a room is a use as well.
    assert_eq!(host.room("wat/b")["seq"], 1);
    assert_eq!(edit(&host, "a"), 2);
    assert_eq!(awake(&host, &["a", "b", "c", "d"]), ["a", "b", "d"]);
    let memory = http::get(&host.url("/rooms")).json()["memory"].clone();
    assert_eq!(memory["bytes_max"], ROOMS_MEMORY_BYTES);
    let bytes = memory["bytes"].as_u64().unwrap();
    assert!((3 * ROOM_BYTES..=ROOMS_MEMORY_BYTES).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn a_room_that_does_not_fit_is_refused_until_another_one_sleeps() {
    let host = small_host();
    let mut sessions = Vec::new();
    for (room, key) in [("a", 1), ("b", 2), ("c", 3)] {
        sessions.push(Session::join(&host, &format!("wat/{room}"), key).await);
    }
    // It does not begin either.
    let begun = http::put(&host.url("/rooms/wat/d"), b"{}");
    for answer in [submit(&host, "d"), begun] {
        assert_eq!((answer.status, answer.header("retry-after")), (503, "5"), "{}", answer.text());
        let (kind, message) = answer.error();
        assert_eq!(kind, "no-memory");
        assert!(message.contains("of the 100.0 MiB that the host has for rooms; try again later"), "{message}");
    }
    assert!(listed(&host, "d").is_null());
    let goodbye = refusal(&host, "wat/d", &[]).await;
    assert!(matches!(&goodbye, Goodbye::Full(why) if why.contains("try again later")), "{goodbye}");
    assert!(goodbye.retry());
    for session in &mut sessions {
        session.submit(1, b"edit".to_vec()).await;
        decided(session, 1).await.unwrap();
    }
    // The room of this session may sleep once it has left.
    drop(sessions.remove(0));
    let d = until("the room begins", async || {
        let begun = http::put(&host.url("/rooms/wat/d"), b"{}");
        if begun.status == 201 { Ok(begun) } else { Err(begun.text()) }
    });
    d.await;
    assert_eq!(awake(&host, &["a", "b", "c", "d"]), ["b", "c", "d"]);
    for session in &mut sessions {
        session.submit(2, b"edit".to_vec()).await;
        decided(session, 2).await.unwrap();
    }
    let events = host.events("wat/a");
    assert_eq!(events.iter().filter(|event| event["kind"] == "transition").count(), 1, "{events:?}");
}

#[tokio::test]
async fn a_room_that_grows_takes_the_place_of_unused_ones() {
    let host = small_host();
    deploy(&host, "growing", &growing()).unwrap();
    let mut session = Session::join(&host, "growing/tree", 1).await;
    for room in ["a", "b"] {
        edit(&host, room);
    }
    for number in 1..=9 {
        session.submit(number, b"grow".to_vec()).await;
        decided(&mut session, number).await.unwrap();
    }
    let asleep = until("the first room sleeps", async || match awake(&host, &["a", "b", "tree"])[..] {
        ["b", "tree"] => Ok(()),
        ref awake => Err(format!("awake: {awake:?}")),
    });
    asleep.await;
    session.submit(10, b"grow".to_vec()).await;
    assert_eq!(decided(&mut session, 10).await.unwrap_err().kind(), "exhausted");
}

#[test]
fn the_memory_of_a_host_with_many_rooms_stays_within_bounds() {
    let host = small_host();
    let before = resident(&host);
    let rooms: Vec<String> = (0..12).map(|number| format!("room-{number}")).collect();
    let mut random = random();
    let mut acknowledged = BTreeMap::<&str, u64>::new();
    for _ in 0..60 {
        let room = rooms.choose(&mut random).unwrap();
        let seq = edit(&host, room);
        let count = acknowledged.entry(room).or_default();
        *count += 1;
        assert_eq!(seq, *count);
        // One room is opened beside those that are awake.
        let (own, most) = (resident(&host), before + ROOMS_MEMORY_BYTES + 2 * ROOM_BYTES);
        assert!(own <= most, "{own} bytes are resident, and {before} were before any room was awake");
    }
    for (room, count) in acknowledged {
        assert_eq!(host.events(&format!("wat/{room}")).len() as u64, count);
    }
}

/// A machine whose snapshots have 8 MB.
fn heavy() -> MachineWat {
    MachineWat {
        snapshot: "(i32.store (i32.const 65536) (local.get $state)) (call $bytes (i32.const 65536) (i32.const 8000000))",
        memory: "124",
        ..MachineWat::default()
    }
}

#[test]
fn large_rooms_that_are_opened_at_once_wait_for_each_other_and_none_is_refused() {
    let mut host = Host::start_program(Path::new(PROGRAM), &["--rooms-memory", "60MiB", "--sleep-after", "1h"]);
    deploy(&host, "wat", &heavy()).unwrap();
    assert!(host.command("retain", &["wat", "--snapshot-events", "1"]).status.success());
    let rooms: Vec<String> = (0..8).map(|number| format!("room-{number}")).collect();
    for room in &rooms {
        // A snapshot follows the second event.
        edit(&host, room);
        edit(&host, room);
        until_blocking("a snapshot is stored", || {
            let used = host.room(&format!("wat/{room}"));
            if snapshots(&host, room).is_empty() { Err(used.to_string()) } else { Ok(()) }
        });
    }
    host.stop();
    host.restart();
    std::thread::scope(|threads| {
        for room in &rooms {
            let url = host.url(&format!("/rooms/wat/{room}"));
            threads.spawn(move || {
                let answer = http::get(&url);
                assert_eq!(answer.status, 200, "{}", answer.text());
            });
        }
    });
}

/// Returns the bytes of the host's own memory.
fn resident(host: &Host) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid())).unwrap();
    let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    own.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}
