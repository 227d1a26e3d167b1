//! Rooms as files: exported, proved, and imported elsewhere. No byte of the files or of their sources can change unnoticed.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Output;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reapply_host::archive::{Part, Parts, VerifyError, verify};
use reapply_machine::Engine;
use reapply_sync::{Batch, Event, Input, Number};
use reapply_testing::{Host, http, until_blocking};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{PROGRAM, components, counter_host};
use reapply_testing::Session;

/// The number of events after which a room takes a snapshot, with its checkpoint.
const EVENTS: u64 = 1_300;

/// Creates a room with snapshots and checkpoints.
pub(crate) fn long_room(host: &Host, room: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut session = Session::join(host, room, 7).await;
        for number in 1..=EVENTS {
            session.submit(number, crate::increment(1)).await;
        }
        let is_last = |event: &Event| matches!(event.input, Input::Transition { number: Number(EVENTS), .. });
        while !session.events().await.iter().any(is_last) {}
    });
}

/// A file of an export, and its folder.
pub(crate) struct Exported {
    _folder: TempDir,
    pub(crate) file: PathBuf,
}

impl Exported {
    pub(crate) fn of(host: &Host, room: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("room.reapply");
        let printed = succeeds(&host.command("export", &[room, "-o", &file.to_string_lossy()]));
        assert!(printed.starts_with(&format!("exported {room} to {}: ", file.display())), "{printed}");
        Self { _folder: folder, file }
    }

    pub(crate) fn path(&self) -> String {
        self.file.to_string_lossy().into_owned()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.file).unwrap()
    }

    /// Returns all batches in it.
    fn batches(&self) -> Vec<Batch> {
        let file = self.bytes();
        let parts = Parts::new(&file[..]).unwrap().map(Result::unwrap);
        parts.flat_map(|part| if let Part::Records(batches) = part { batches } else { vec![] }).collect()
    }

    /// Returns the events' bytes, record by record.
    fn bodies(&self) -> Vec<bytes::Bytes> {
        self.batches().into_iter().map(|batch| batch.body).collect()
    }
}

/// Returns the output of a command, which must succeed.
pub(crate) fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the error of a command that must fail: one line, and the exit code 1.
pub(crate) fn fails(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(said.lines().count(), 1, "{said}");
    said.strip_prefix("reapply: ").unwrap_or_else(|| panic!("{said}")).trim_end().to_owned()
}

/// Returns the number of damages in a random test: the environment's, or else the given one.
pub(crate) fn flips(default: usize) -> usize {
    std::env::var("REAPPLY_FLIPS").map_or(default, |flips| flips.parse().unwrap())
}

/// Returns a random generator whose seed is printed, and can be set.
pub(crate) fn random() -> StdRng {
    let seed = std::env::var("REAPPLY_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("REAPPLY_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

#[test]
fn an_export_is_proved_from_the_file_alone_and_tells_what_was() {
    let mut host = counter_host(&[]);
    long_room(&host, "counter/lobby");
    let live = succeeds(&host.command("verify", &["counter/lobby"]));
    let exported = Exported::of(&host, "counter/lobby");
    assert!(host.stop().success());

    let proved = succeeds(&host.command("verify", &[&exported.path()]));
    assert!(proved.starts_with(&format!("{} is whole: the log of counter/lobby", exported.path())), "{proved}");
    let value = |report: &str, field: &str| {
        let line = report.lines().find(|line| line.trim_start().starts_with(field));
        line.unwrap_or_else(|| panic!("{field} is missing: {report}")).split_whitespace().nth(1).unwrap().to_owned()
    };
    for field in ["events", "snapshots", "checkpoints", "build", "head", "chain"] {
        assert_eq!(value(&proved, field).trim_end_matches(','), value(&live, field).trim_end_matches(','), "{field}");
    }
    let count = |field| value(&proved, field).trim_end_matches(',').parse::<u64>().unwrap();
    assert!(count("events") >= EVENTS && count("snapshots") >= 1 && count("checkpoints") >= 1, "{proved}");
}

#[test]
fn a_flipped_byte_anywhere_in_an_export_is_found_and_its_section_named() {
    let host = counter_host(&[]);
    long_room(&host, "counter/lobby");
    let file = Exported::of(&host, "counter/lobby").bytes();
    let places = sections(&file);
    let mut random = random();
    let engine = Engine::new(None).unwrap();
    for round in 0..flips(2_000) {
        let place = random.random_range(0..file.len());
        let mut flipped = file.clone();
        flipped[place] ^= 1 << random.random_range(0..8);
        let finding = if round % 200 == 0 {
            match verify(&flipped[..], &engine, &mut |_| ControlFlow::Continue(())) {
                Err(VerifyError::Finding(finding)) => finding.to_string(),
                other => panic!("byte {place}: {other:?}"),
            }
        } else {
            first_finding(&flipped).unwrap_or_else(|| panic!("a flipped byte {place} was not found"))
        };
        let Some(section) = places.iter().rposition(|start| *start <= place) else {
            assert!(
                finding.contains("is not an export") || finding.contains("has the format"),
                "byte {place}: {finding}"
            );
            continue;
        };
        assert!(finding.starts_with(&format!("section {section}, ")), "byte {place} in {section}: {finding}");
        assert!(finding.contains(&format!("at byte {}", places[section])), "byte {place}: {finding}");
    }
}

#[test]
fn sections_that_are_cut_off_missing_repeated_or_elsewhere_are_found() {
    let host = counter_host(&[]);
    long_room(&host, "counter/lobby");
    let file = Exported::of(&host, "counter/lobby").bytes();
    let places = sections(&file);
    let section = |index: usize| &file[places[index]..*places.get(index + 1).unwrap_or(&file.len())];
    assert_eq!(first_finding(&file), None);
    let last = places.len() - 1;
    assert!(last >= 4, "a header, a component, records, a snapshot and the end at least");

    let mut random = random();
    for _ in 0..200 {
        let length = random.random_range(0..file.len());
        let finding = first_finding(&file[..length]).unwrap_or_else(|| panic!("a cut at {length} was not found"));
        assert!(length < 12 || finding.contains(&format!("breaks off at byte {length}")), "{length}: {finding}");
    }
    let joined = |order: &[usize]| {
        let sections = order.iter().flat_map(|index| section(*index));
        file[..places[0]].iter().chain(sections).copied().collect::<Vec<u8>>()
    };
    for index in 0..=last {
        let missing: Vec<usize> = (0..=last).filter(|other| *other != index).collect();
        let repeated: Vec<usize> =
            (0..=last).flat_map(|other| std::iter::repeat_n(other, if other == index { 2 } else { 1 })).collect();
        let mut swapped: Vec<usize> = (0..=last).collect();
        swapped.swap(index, (index + 1) % (last + 1));
        for (what, order) in [("missing", missing), ("repeated", repeated), ("elsewhere", swapped)] {
            let finding = first_finding(&joined(&order)).unwrap_or_else(|| panic!("section {index} is {what}"));
            assert!(finding.starts_with("section "), "section {index} is {what}: {finding}");
        }
    }
}

#[test]
fn an_import_is_the_same_log_and_its_export_the_same_again() {
    let first = counter_host(&[]);
    long_room(&first, "counter/lobby");
    let exported = Exported::of(&first, "counter/lobby");

    // A host on which the machine was never deployed.
    let mut second = Host::start_program(Path::new(PROGRAM), &[]);
    let printed = succeeds(&second.command("import", &[&exported.path()]));
    assert!(printed.starts_with("imported counter/lobby: "), "{printed}");
    assert!(printed.contains("the machine counter was missing"), "{printed}");
    assert_eq!(second.room("counter/lobby"), first.room("counter/lobby"));
    let again = Exported::of(&second, "counter/lobby");
    assert_eq!(again.bodies(), exported.bodies());
    assert_eq!(chain(&second, "counter/lobby"), chain(&first, "counter/lobby"));
    assert_eq!(second.events("counter/lobby"), first.events("counter/lobby"));

    // The room continues, also after a restart.
    assert_eq!(second.submit("counter/lobby", "{\"Increment\":5}").status, 200);
    assert!(second.stop().success());
    second.restart();
    assert_eq!(second.room("counter/lobby")["view"]["count"], EVENTS + 5);
    succeeds(&second.command("verify", &["counter/lobby"]));

    let said = fails(&second.command("import", &[&exported.path()]));
    assert_eq!(said, "the room counter/lobby exists already");
    let printed = succeeds(&second.command("import", &[&exported.path(), "--as", "counter/copy"]));
    assert!(printed.contains("it continues from where counter/lobby was exported, as a log of its own"), "{printed}");
    assert_eq!(second.room("counter/copy")["view"]["count"], EVENTS);
    succeeds(&second.command("verify", &["counter/copy"]));
    let copy = Exported::of(&second, "counter/copy");
    assert_eq!(copy.bodies()[..exported.bodies().len()], exported.bodies());
}

#[test]
fn a_damaged_export_is_not_taken_in_and_leaves_nothing_behind() {
    let first = counter_host(&[]);
    long_room(&first, "counter/lobby");
    let exported = Exported::of(&first, "counter/lobby");
    let mut file = exported.bytes();
    let mut second = Host::start_program(Path::new(PROGRAM), &[]);

    // The command line does not even send it.
    let places = sections(&file);
    let last_records = places[places.len() - 2] + 100;
    file[last_records] ^= 1;
    fs::write(&exported.file, &file).unwrap();
    let said = fails(&second.command("import", &[&exported.path()]));
    assert!(said.contains("its bytes do not match their hash"), "{said}");
    // And a host refuses it if it is sent anyway.
    let answer = second.administer("POST", "/rooms/counter/lobby/import", &file);
    assert_eq!((answer.status, answer.error().0.as_str()), (422, "unproven"), "{}", answer.text());
    assert!(answer.error().1.contains("its bytes do not match their hash"), "{}", answer.text());
    for (what, body) in [("nothing", &b""[..]), ("a text", b"hello"), ("half a file", &file[..file.len() / 2])] {
        let answer = second.administer("POST", "/rooms/counter/lobby/import", body);
        assert_eq!(answer.status, 422, "{what}: {}", answer.text());
    }

    for restarted in [false, true] {
        if restarted {
            assert!(second.stop().success());
            second.restart();
        }
        assert_eq!(http::get(&second.url("/rooms/counter/lobby")).status, 404);
        assert_eq!(http::get(&second.url("/rooms")).json()["rooms"], serde_json::json!([]));
        assert_eq!(http::get(&second.url("/machines")).json()["machines"], serde_json::json!([]));
    }
    let connection = Connection::open(second.data().join("journal.db")).unwrap();
    for table in ["rooms", "batches", "snapshots", "components"] {
        let rows: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[test]
fn an_import_that_is_cut_off_leaves_nothing_whoever_cuts_it() {
    let first = counter_host(&[]);
    long_room(&first, "counter/lobby");
    let file = Exported::of(&first, "counter/lobby").bytes();
    let mut second = Host::start_program(Path::new(PROGRAM), &[]);
    let rooms_in = |host: &Host| -> i64 {
        let connection = Connection::open(host.data().join("journal.db")).unwrap();
        connection.query_row("SELECT count(*) FROM rooms", [], |row| row.get(0)).unwrap()
    };
    let wait_for_rooms = |host: &Host, count| {
        until_blocking("the import has come so far", || match rooms_in(host) {
            found if found == count => Ok(()),
            found => Err(format!("there are {found} rooms; {}", host.log())),
        });
    };
    for is_killed in [false, true] {
        let mut upload = TcpStream::connect(second.address()).unwrap();
        let (address, token, length) = (second.address(), second.token(), file.len());
        let head = format!(
            "POST /rooms/counter/lobby/import HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
            content-length: {length}\r\n\r\n"
        );
        upload.write_all(head.as_bytes()).unwrap();
        upload.write_all(&file[..file.len() / 2]).unwrap();
        wait_for_rooms(&second, 1);
        assert_eq!(http::get(&second.url("/rooms/counter/lobby")).status, 404, "it cannot be seen yet");
        let said = fails(&second.command("fork", &["counter/lobby", "counter/other"]));
        assert_eq!(said, "there is no machine counter; deploy it first: reapply deploy DIR");
        if is_killed {
            second.kill_9();
            second.restart();
        } else {
            drop(upload);
        }
        wait_for_rooms(&second, 0);
    }
    let answer = second.administer("POST", "/rooms/counter/lobby/import", &file);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[test]
fn a_fork_shares_the_past_and_goes_on_by_itself() {
    let host = counter_host(&[]);
    long_room(&host, "counter/lobby");
    let at = EVENTS / 2 + 7;
    let said = fails(&host.command("fork", &["counter/lobby", "timer/lobby"]));
    assert_eq!(said, "a fork of counter/lobby runs the same machine: name it counter/lobby");
    let printed = succeeds(&host.command("fork", &["counter/lobby", "counter/what-if", "--at", &at.to_string()]));
    assert!(printed.starts_with(&format!("forked counter/what-if from counter/lobby at event {at}, of ")), "{printed}");
    let past = http::get(&host.url(&format!("/rooms/counter/lobby?seq={at}"))).json();
    assert_eq!(host.room("counter/what-if")["view"], past["view"]);
    assert_eq!(host.events("counter/what-if")[..at as usize], host.events("counter/lobby")[..at as usize]);

    assert_eq!(host.submit("counter/what-if", "\"Reset\"").status, 200);
    assert_eq!(host.room("counter/what-if")["view"]["count"], 0);
    assert_eq!(host.room("counter/lobby")["view"]["count"], EVENTS);
    // A fork of a fork, at its head, elsewhere.
    succeeds(&host.command("fork", &["counter/what-if", "counter/what-then"]));
    let exported = Exported::of(&host, "counter/what-then");
    let elsewhere = Host::start_program(Path::new(PROGRAM), &[]);
    succeeds(&elsewhere.command("import", &[&exported.path()]));
    assert_eq!(chain(&elsewhere, "counter/what-then"), chain(&host, "counter/what-then"));
    for room in ["counter/lobby", "counter/what-if", "counter/what-then"] {
        succeeds(&host.command("verify", &[room]));
    }

    let (first, second) = (host.events("counter/lobby")[0].clone(), host.events("counter/lobby")[1].clone());
    succeeds(&host.command("fork", &["counter/lobby", "counter/by-time", "--at", first["time"].as_str().unwrap()]));
    let forked = host.events("counter/by-time");
    let shared = if first["time"] == second["time"] { 2 } else { 1 };
    assert!(forked.len() > shared && forked[..shared] == host.events("counter/lobby")[..shared], "{forked:?}");
}

#[test]
fn joins_and_alarms_go_through_exports_too() {
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    assert_eq!(host.administer("PUT", "/machines/echo", &components::echo()).status, 201);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut one = Session::join(&host, "echo/party", 1).await;
        let two = Session::join(&host, "echo/party", 2).await;
        one.submit(1, b"hello".to_vec()).await;
        drop(two);
        one.events_to(4).await;
    });
    host.deploy("timer");
    assert_eq!(host.submit("timer/kitchen", "{\"Set\":{\"seconds\":3600,\"repeats\":false}}").status, 200);
    assert_eq!(host.submit("timer/kitchen", "\"Start\"").status, 200);
    let elsewhere = Host::start_program(Path::new(PROGRAM), &[]);
    for room in ["echo/party", "timer/kitchen"] {
        let exported = Exported::of(&host, room);
        succeeds(&host.command("verify", &[&exported.path()]));
        succeeds(&elsewhere.command("import", &[&exported.path()]));
    }
    assert_eq!(elsewhere.room("timer/kitchen")["view"], host.room("timer/kitchen")["view"]);
    let due: i64 = Connection::open(elsewhere.data().join("journal.db"))
        .unwrap()
        .query_row("SELECT due FROM alarms", [], |row| row.get(0))
        .unwrap();
    assert!(due > 0, "the imported room's alarm is known to its host");
}

/// Returns the chain that `reapply verify` prints.
pub(crate) fn chain(host: &Host, room: &str) -> String {
    let report = succeeds(&host.command("verify", &[room]));
    let line = report.lines().find(|line| line.trim_start().starts_with("chain")).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// Returns the fault that is found when an export is read, before anything is replayed.
fn first_finding(file: &[u8]) -> Option<String> {
    match Parts::new(file) {
        Err(error) => Some(error.to_string()),
        Ok(parts) => parts.filter_map(|part| part.err().map(|finding| finding.to_string())).next(),
    }
}

/// Returns the beginnings of the sections, as the format defines them.
fn sections(file: &[u8]) -> Vec<usize> {
    let (preamble, frame, stored_at) = (12, 61, 25);
    let mut places = Vec::new();
    let mut place = preamble;
    while place < file.len() {
        places.push(place);
        let stored: [u8; 4] = file[place + stored_at..place + stored_at + 4].try_into().unwrap();
        place += frame + u32::from_le_bytes(stored) as usize;
    }
    places
}
