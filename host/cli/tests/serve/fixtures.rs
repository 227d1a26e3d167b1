//! Data directories and exports that earlier versions wrote: this version opens them all. Each folder in `host/cli/tests/fixtures/` belongs to one
//! format, and is never changed.

use std::fs;
use std::path::{Path, PathBuf};

use reapply_sync::Seq;
use reapply_testing::machine_wat::{MachineWat, describe};
use reapply_testing::{Host, http, until_blocking};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::exports::succeeds;
use crate::{PROGRAM, make_fixture};
use reapply_testing::Session;

/// The room with every kind of event but the last ones of forks.
pub(crate) const WHOLE: &str = "wat/whole";

/// A fork of it.
pub(crate) const FORK: &str = "wat/fork";

/// A room whose alarm is due in the year 2100.
pub(crate) const ALARMED: &str = "wat/alarmed";

/// A room where somebody was present when the data directory was copied.
pub(crate) const OCCUPIED: &str = "wat/occupied";

/// A room whose log begins with a snapshot.
pub(crate) const TRIMMED: &str = "short/trimmed";

/// The key of the client whose transitions are in the rooms.
pub(crate) const CLIENT: u8 = 1;

/// Returns a counter of digits whose view is the count: `"12"` adds 2, and `"123"` is a conflict. A participant who joins adds 100, and an alarm
/// adds 1. A count that ends with 7 sets an alarm in the past, and a count that ends with 9 sets one in the year 2100.
pub(crate) fn counting(state_version: u32, restore: &'static str) -> Vec<u8> {
    MachineWat {
        more: "(data (i32.const 2048) \"\\22no\\221\")",
        describe: describe("wat", state_version, "{}"),
        restore,
        apply: "(if (i32.eq (local.get $length) (i32.const 3))
              (then (return (call $conflict (i32.const 2048) (i32.const 4)))))
            (call $ok (call $new (i32.add (i32.add (local.get $state) (local.get $length)) (i32.add
              (i32.eq (local.get $case) (i32.const 1))
              (i32.mul (i32.eq (local.get $case) (i32.const 2)) (i32.const 100))))))",
        alarm: "(local $digit i32)
            (local.set $digit (i32.rem_u (local.get $state) (i32.const 10)))
            (i64.store (i32.const 96) (i64.extend_i32_u
              (i32.or (i32.eq (local.get $digit) (i32.const 7)) (i32.eq (local.get $digit) (i32.const 9)))))
            (i64.store (i32.const 104)
              (select (i64.const 4102444800000000) (i64.const 1) (i32.eq (local.get $digit) (i32.const 9))))
            (i32.store (i32.const 112) (i32.const 2052)) (i32.store (i32.const 116) (i32.const 1))
            (i32.const 96)",
        view: "(local $at i32) (local $left i32)
            (local.set $at (i32.const 31)) (local.set $left (local.get $state))
            (loop $digit
              (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $left) (i32.const 10))))
              (local.set $at (i32.sub (local.get $at) (i32.const 1)))
              (br_if $digit (local.tee $left (i32.div_u (local.get $left) (i32.const 10)))))
            (call $bytes (i32.add (local.get $at) (i32.const 1)) (i32.sub (i32.const 31) (local.get $at)))",
        ..MachineWat::default()
    }
    .component()
}

/// A body of `restore` that takes over the state of every build.
pub(crate) const TAKES_OVER: &str = "(call $ok (call $new (i32.load (local.get $snapshot))))";

/// Returns the folder of all fixtures.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Returns the facts about a room that its fixture records.
pub(crate) fn facts(host: &Host, room: &str) -> Value {
    let rejections = http::get(&host.url(&format!("/rooms/{room}/rejections")));
    json!({ "room": host.room(room), "log": host.events(room), "rejections": rejections.text() })
}

/// Returns the format of a stopped host's journal.
pub(crate) fn format_of(data: &Path) -> i64 {
    let connection = Connection::open(data.join("journal.db")).unwrap();
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

fn fixtures() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn recorded(fixture: &Path) -> Value {
    serde_json::from_slice(&fs::read(fixture.join("rooms.json")).unwrap()).unwrap()
}

/// Starts a host on a copy of a fixture's data directory.
fn host_on(fixture: &Path) -> (Host, TempDir) {
    let data = TempDir::new().unwrap();
    fs::copy(fixture.join("journal.db"), data.path().join("journal.db")).unwrap();
    (Host::start_program_on(Path::new(PROGRAM), data.path(), &[]), data)
}

/// Checks that a room is what it was, and returns the events that were added to its log.
fn check_room(host: &Host, room: &str, recorded: &Value) -> Vec<Value> {
    let (then, log) = (&recorded["room"], recorded["log"].as_array().unwrap());
    let now = http::get(&host.url(&format!("/rooms/{room}?seq={}", then["seq"]))).json();
    for field in ["view", "digest", "seq", "time"] {
        assert_eq!(now[field], then[field], "{room}: {field}");
    }
    let mut events = host.events(room);
    let added = events.split_off(log.len());
    assert_eq!(&events, log, "{room}");
    let rejections = http::get(&host.url(&format!("/rooms/{room}/rejections")));
    assert_eq!(rejections.text(), recorded["rejections"].as_str().unwrap(), "{room}");
    succeeds(&host.command("verify", &[room]));
    added
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

#[test]
fn this_version_has_a_fixture_and_each_has_every_kind_of_event() {
    let mut host = Host::start_program(Path::new(PROGRAM), &[]);
    assert!(host.stop().success());
    let format = format_of(host.data());
    let own = folder().join(format!("format-{format}"));
    assert!(own.is_dir(), "the data directory has the new format {format}: add a fixture with `just fixture`");
    for fixture in fixtures() {
        assert!(fixture.ends_with(format!("format-{}", format_of(&fixture))), "{}", fixture.display());
        let rooms = recorded(&fixture);
        let all: Vec<&Value> =
            rooms.as_object().unwrap().values().flat_map(|room| room["log"].as_array().unwrap()).collect();
        for kind in ["transition", "alarm", "joined", "left", "upgraded", "checkpoint", "forked"] {
            assert!(all.iter().any(|event| event["kind"] == kind), "{}: {kind}", fixture.display());
        }
        let connection = Connection::open(fixture.join("journal.db")).unwrap();
        for table in ["alarms", "batches", "components", "machines", "occupied", "rejections", "rooms", "snapshots"] {
            let count = format!("SELECT count(*) FROM {table}");
            assert_ne!(
                connection.query_row(&count, [], |row| row.get::<_, i64>(0)),
                Ok(0),
                "{}: {table}",
                fixture.display()
            );
        }
    }
}

#[test]
fn rooms_of_earlier_data_directories_are_what_they_were_and_go_on() {
    for fixture in fixtures() {
        let (mut host, _data) = host_on(&fixture);
        let rooms = recorded(&fixture);
        until_blocking("the participant who was present leaves", || match kinds(&host.events(OCCUPIED)).last() {
            Some(&"left") => Ok(()),
            other => Err(format!("{other:?}; {}", host.log())),
        });
        for (room, recorded) in rooms.as_object().unwrap() {
            let added = check_room(&host, room, recorded);
            assert_eq!(kinds(&added), if room == OCCUPIED { vec!["left"] } else { vec![] }, "{room}");
        }
        let trimmed = http::get(&host.url(&format!("/rooms/{TRIMMED}?seq=1")));
        assert_eq!(trimmed.status, 410, "{}", trimmed.text());

        // Rooms continue, also with another build, and after a restart.
        let count = |host: &Host, room: &str| host.room(room)["view"].as_u64().unwrap();
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("next.wasm");
        fs::write(&file, counting(3, TAKES_OVER)).unwrap();
        let digest = host.deploy_file("wat", &file);
        succeeds(&host.command("upgrade", &["wat"]));
        for (room, recorded) in rooms.as_object().unwrap() {
            let before = recorded["room"]["view"].as_u64().unwrap();
            assert_eq!(host.submit(room, "12").status, 200, "{room}");
            assert_eq!(count(&host, room), before + 2, "{room}");
        }
        assert_eq!(host.room(WHOLE)["digest"], digest);
        assert!(host.stop().success());
        host.restart();
        for room in rooms.as_object().unwrap().keys() {
            assert_eq!(count(&host, room), rooms[room]["room"]["view"].as_u64().unwrap() + 2, "{room}");
            succeeds(&host.command("verify", &[room]));
        }
        let scrubbed = succeeds(&host.command("scrub", &[]));
        assert!(scrubbed.contains("all of it is proved"), "{scrubbed}");
    }
}

#[tokio::test]
async fn clients_and_alarms_of_earlier_data_directories_are_known() {
    for fixture in fixtures() {
        let (host, data) = host_on(&fixture);
        let rooms = recorded(&fixture);
        let log = rooms[WHOLE]["log"].as_array().unwrap();
        let last = log.iter().filter_map(|event| event["number"].as_u64()).max().unwrap();
        let mut session = Session::join(&host, WHOLE, CLIENT).await;
        assert!(session.welcome.decided.0 >= last, "{:?}", session.welcome.decided);
        let head = rooms[WHOLE]["room"]["seq"].as_u64().unwrap();
        // The old number is not applied again, and the next one is.
        session.submit(last, b"1".to_vec()).await;
        session.submit(session.welcome.decided.0 + 1, b"1".to_vec()).await;
        let events = session.events_to(head + 2).await;
        let transitions = events.iter().filter(|event| event.seq > Seq(head) && event.input.is_for_machine());
        assert_eq!(transitions.count(), 2, "who joined, and one transition: {events:?}");
        drop(host);
        let connection = Connection::open(data.path().join("journal.db")).unwrap();
        let due: i64 = connection.query_row("SELECT due FROM alarms", [], |row| row.get(0)).unwrap();
        assert_eq!(due, 4_102_444_800_000_000);
    }
}

#[test]
fn earlier_exports_are_proved_and_imported() {
    for fixture in fixtures() {
        let (host, rooms) = (Host::start_program(Path::new(PROGRAM), &[]), recorded(&fixture));
        for (room, file) in [(WHOLE, "whole.reapply"), (TRIMMED, "trimmed.reapply"), (FORK, "fork.reapply")] {
            let file = fixture.join(file).display().to_string();
            let proved = succeeds(&host.command("verify", &[&file]));
            assert!(proved.contains(&format!(" is whole: the log of {room}, ")), "{proved}");
            succeeds(&host.command("import", &[&file]));
            // Rejections are not part of an export.
            let mut recorded = rooms[room].clone();
            recorded["rejections"] = json!(http::get(&host.url(&format!("/rooms/{room}/rejections"))).text());
            assert_eq!(check_room(&host, room, &recorded), Vec::<Value>::new(), "{room}");
            assert_eq!(host.submit(room, "1").status, 200);
        }
    }
}

#[test]
#[ignore = "`just fixture` runs it once for each new format"]
fn a_fixture_of_this_version_is_made() {
    make_fixture::make();
}
