//! Presence: a crash ends all sessions, and the log says so, even if nobody asks for the room.

use std::path::Path;

use reapply_sync::Past;
use reapply_testing::machine_wat::MachineWat;
use reapply_testing::{Host, http, until_blocking};
use serde_json::Value;

use crate::PROGRAM;
use reapply_testing::Session;

const BOARD: &str = "wat/board";

/// Starts a host with a room in which one player is present.
async fn host_with_a_player() -> (Host, Session) {
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("machine.wasm");
    // The machine asks for membership events.
    std::fs::write(&file, MachineWat::default().component()).unwrap();
    host.deploy_file("wat", &file);
    let session = Session::join(&host, BOARD, 1).await;
    until_blocking("the player is in the log", || match &kinds(&host, BOARD)[..] {
        [joined] if joined == "joined" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    (host, session)
}

/// Returns the kinds of the events in a room's log. Reading the log does not wake the room.
fn kinds(host: &Host, room: &str) -> Vec<String> {
    let kind = |event: &Value| event["kind"].as_str().unwrap().to_owned();
    host.events(room).iter().map(kind).collect()
}

fn past(host: &Host, room: &str) -> Past {
    let answer = http::get(&host.url(&format!("/rooms/{room}/past")));
    assert_eq!(answer.status, 200, "{}", answer.text());
    Past::decode(&answer.body).unwrap()
}

#[tokio::test]
async fn after_a_crash_the_log_says_who_has_left_though_nobody_asks_for_the_room() {
    let (mut host, session) = host_with_a_player().await;
    let calm = Session::join(&host, "wat/calm", 2).await;
    drop(calm);
    until_blocking("the other player leaves", || {
        let found = kinds(&host, "wat/calm");
        if found == ["joined", "left"] { Ok(()) } else { Err(format!("{found:?}")) }
    });
    // Twice: work that a crash interrupts is done at the next start.
    host.kill_9();
    host.restart();
    host.kill_9();
    drop(session);
    host.restart();
    until_blocking("the player leaves", || match &kinds(&host, BOARD)[..] {
        [joined, left] if joined == "joined" && left == "left" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(kinds(&host, "wat/calm"), ["joined", "left"], "nobody leaves twice");
}

/// The copy of a log holds players who were never present in the new room, like the log of a room that a crash ended. Each request here is the first.
#[tokio::test]
async fn nothing_of_now_is_served_before_those_have_left_who_are_not_there() {
    let (host, _session) = host_with_a_player().await;
    let fork = |name: &str| {
        let asked = format!("{{\"to\":\"wat/{name}\"}}");
        let answer = host.administer("POST", &format!("/rooms/{BOARD}/fork"), asked.as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.text());
        format!("wat/{name}")
    };
    let whole = ["joined", "forked", "left"];
    let room = fork("past");
    assert_eq!(past(&host, &room).seq.0, 3);
    let room = fork("export");
    assert_eq!(http::get(&host.url(&format!("/rooms/{room}/export"))).status, 200);
    assert_eq!(kinds(&host, &room), whole);
    let room = fork("view");
    assert_eq!(host.room(&room)["seq"], 3);
    let room = fork("later");
    assert_eq!(host.room(&format!("{room}?time=2100-01-01T00:00:00Z"))["seq"], 3);
    let answer = host.administer("POST", &format!("/rooms/{}/fork", fork("again")), b"{\"to\":\"wat/twice\"}");
    assert_eq!(answer.json()["at"], 3, "{}", answer.text());
    // The past is shown as it was.
    assert_eq!(host.room(&format!("{room}?seq=2"))["seq"], 2);
}

#[tokio::test]
async fn nothing_is_served_with_those_who_are_gone_because_there_is_no_memory_for_the_room() {
    let (mut host, session) = host_with_a_player().await;
    host.kill_9();
    drop(session);
    let small = Host::start_program_on(Path::new(PROGRAM), host.data(), &["--rooms-memory", "64KiB"]);
    for path in ["/past", "/export", "?seq=1"] {
        let answer = http::get(&small.url(&format!("/rooms/{BOARD}{path}")));
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert_eq!(answer.error().0, "no-memory");
    }
    drop(small);
    host.restart();
    assert_eq!(past(&host, BOARD).seq.0, 2);
    assert_eq!(kinds(&host, BOARD), ["joined", "left"]);
}
