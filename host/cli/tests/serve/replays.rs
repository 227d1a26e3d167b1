//! Moments of a room, by seq and by time: from the host, from a file, and as a page gets them; and the errors for moments that do not
//! exist.

use std::path::Path;

use reapply_sync::{Origin, Past, Seq};
use reapply_testing::{Host, http};
use serde_json::Value;

use crate::exports::{Exported, fails, long_room, succeeds};
use crate::{PROGRAM, counter_host};

#[test]
fn a_moment_is_the_same_from_the_host_and_from_a_file() {
    let host = counter_host(&[]);
    long_room(&host, "counter/lobby");
    let exported = Exported::of(&host, "counter/lobby");
    let events = host.events("counter/lobby");
    let head = events.len() as u64;
    for seq in [0, 1, 2, 700, head - 1, head] {
        let live = http::get(&host.url(&format!("/rooms/counter/lobby?seq={seq}"))).json();
        for subject in ["counter/lobby", &exported.path()] {
            let printed = succeeds(&host.command("replay", &[subject, "--at", &seq.to_string()]));
            let replayed: Value = serde_json::from_str(&printed).unwrap();
            for field in ["seq", "time", "digest", "view"] {
                assert_eq!(replayed[field], live[field], "{field} at {seq} of {subject}");
            }
        }
    }
    // A time means the last event up to it.
    for place in [0, 1, 700, head as usize - 1] {
        let time = events[place]["time"].as_str().unwrap();
        let live = http::get(&host.url(&format!("/rooms/counter/lobby?time={time}"))).json();
        assert!(live["seq"].as_u64().unwrap() > place as u64, "{live} at {time}");
        assert_eq!(live["time"], time);
        let printed = succeeds(&host.command("replay", &[&exported.path(), "--at", time]));
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["seq"], live["seq"]);
    }
}

#[test]
fn steps_show_each_event_and_what_it_changed() {
    let host = counter_host(&[]);
    for transition in ["{\"Increment\":5}", "{\"Decrement\":2}", "{\"Increment\":0}", "\"Reset\""] {
        assert_eq!(host.submit("counter/steps", transition).status, 200);
    }
    let printed = succeeds(&host.command("replay", &["counter/steps", "--step", "--from", "2"]));
    let events: Vec<&str> = printed.split("\n\n").filter(|event| !event.trim().is_empty()).collect();
    assert_eq!(events.len(), 3, "{printed}");
    assert!(events[0].starts_with("event 2 at ") && events[0].contains("{\"Decrement\":2}, by anon-"), "{printed}");
    assert!(events[0].contains("-  \"count\": 5\n+  \"count\": 3\n"), "{printed}");
    assert!(events[1].contains("event 3 at ") && events[1].contains("the view stays the same"), "{printed}");
    assert!(events[2].contains("-  \"count\": 3\n+  \"count\": 0\n"), "{printed}");
    let printed = succeeds(&host.command("replay", &["counter/steps", "--step", "--at", "1"]));
    assert!(printed.contains("+  \"count\": 5") && !printed.contains("event 2"), "{printed}");
}

#[test]
fn a_page_gets_what_it_takes_to_replay_a_moment() {
    let host = counter_host(&[]);
    long_room(&host, "counter/lobby");
    let head = host.events("counter/lobby").len() as u64;
    let past = |query: &str| {
        let answer = http::get(&host.url(&format!("/rooms/counter/lobby/past{query}")));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        Past::decode(&answer.body).unwrap()
    };
    let early = past("?seq=3");
    assert!(matches!(early.origin, Origin::Genesis(_)), "no snapshot lies before event 3");
    assert!(early.last() >= Seq(3) && early.events().unwrap().len() >= 3);
    assert_eq!((early.seq, early.head), (Seq(3), Seq(head)));

    let late = past("");
    let Origin::Snapshot(snapshot) = &late.origin else { panic!("a long log has snapshots") };
    assert_eq!((late.seq, late.last()), (Seq(head), Seq(head)));
    assert!(snapshot.clients.is_empty(), "what a room keeps for itself stays there");
    // A page that holds a later state gets less; one that holds an earlier state gets the snapshot.
    let held = head - 2;
    let tail = past(&format!("?seq={head}&held={held}"));
    assert_eq!(tail.origin, Origin::Held(Seq(held)));
    assert_eq!(tail.events().unwrap().len(), 2);
    assert!(matches!(past(&format!("?seq={head}&held=1")).origin, Origin::Snapshot(_)));
}

#[test]
fn what_is_no_moment_is_said_so() {
    let host = counter_host(&[]);
    assert_eq!(host.submit("counter/short", "\"Reset\"").status, 200);
    for (query, status, says) in [
        ("?seq=2", 404, "the room's log ends at 1; there is no state at 2"),
        ("?seq=1&time=2026-01-01T00:00:00Z", 400, "give either `seq` or `time`"),
        ("?time=noon", 400, "`time` is a time such as 2026-01-31T12:00:00Z"),
        ("?time=2001-01-01T00:00:00Z", 404, "the room counter/short began at 20"),
    ] {
        for path in ["", "/past"] {
            let answer = http::get(&host.url(&format!("/rooms/counter/short{path}{query}")));
            assert_eq!(answer.status, status, "{path}{query}: {}", answer.text());
            assert!(answer.error().1.contains(says), "{path}{query}: {}", answer.text());
        }
    }
    for path in ["/rooms/counter/none/past", "/rooms/counter/none/export", "/rooms/nothing/none?seq=1"] {
        assert_eq!(http::get(&host.url(path)).status, 404, "{path}");
    }
}

#[test]
fn wrong_input_gets_one_sentence_and_exit_code_1() {
    let mut host = counter_host(&[]);
    assert_eq!(host.submit("counter/short", "\"Reset\"").status, 200);
    let exported = Exported::of(&host, "counter/short");
    let file = &exported.path();
    let folder = tempfile::TempDir::new().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "no export at all").unwrap();
    let text = &text.to_string_lossy().into_owned();
    let cases: [(&str, &[&str], &str); 15] = [
        (
            "verify",
            &["nowhere"],
            "there is no file nowhere, and no room has such a name: a room is written as machine/room",
        ),
        ("verify", &["counter/none"], "there is no room counter/none"),
        ("verify", &[text], "this is not an export of a room"),
        ("export", &["counter/none", "-o", "/tmp/reapply-none.reapply"], "there is no room counter/none"),
        ("export", &["counter/short", "-o", file], "exists already: name another file with --out"),
        ("export", &["counter/short", "-o", "/proc/reapply/x"], "there is no folder /proc/reapply"),
        ("import", &["missing.reapply"], "cannot read missing.reapply"),
        ("import", &[text], "this is not an export of a room"),
        ("import", &[file], "the room counter/short exists already"),
        ("replay", &[file, "--at", "2"], "its log ends at 1; there is no state at 2"),
        ("replay", &[file, "--at", "2001-01-01T00:00:00Z"], "before that there is no state"),
        ("replay", &[file, "--step", "--from", "9"], "there is no event 9 to begin with"),
        ("replay", &[file, "--step", "--at", "0"], "there is no event from 1 to 0"),
        ("fork", &["counter/none", "counter/new"], "there is no room counter/none"),
        ("fork", &["counter/short", "counter/short"], "the room counter/short exists already"),
    ];
    for (command, arguments, says) in cases {
        let said = fails(&host.command(command, arguments));
        assert!(said.contains(says), "{command} {arguments:?}: {said}");
    }
    // The command line itself reports an invalid room or place.
    let wrong: [(&str, &[&str], &str); 3] = [
        ("export", &["lobby"], "a room is written as machine/room, such as counter/lobby"),
        ("fork", &["counter/short", "Counter/X"], "is not a name"),
        ("replay", &[file, "--at", "noon"], "give the number of an event, or a time such as 2026-01-31T12:00:00Z"),
    ];
    for (command, arguments, says) in wrong {
        let output = host.command(command, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(says), "{command} {arguments:?}: {said}");
    }
    assert!(host.stop().success());
    let said = fails(&host.command("verify", &["counter/short"]));
    assert!(said.contains("no host answers at") && said.contains("--host"), "{said}");
    assert!(succeeds(&host.command("verify", &[file])).contains("is whole"));
}

#[test]
fn changing_a_host_takes_the_right_to_deploy() {
    let host = Host::start_program(Path::new(PROGRAM), &["--deploy-token", "secret"]);
    for path in ["/rooms/counter/lobby/import", "/rooms/counter/lobby/fork"] {
        let answer = http::post(&host.url(path), "{\"to\":\"counter/new\"}");
        assert_eq!((answer.status, answer.error().0.as_str()), (401, "unauthorized"), "{path}: {}", answer.text());
    }
}
