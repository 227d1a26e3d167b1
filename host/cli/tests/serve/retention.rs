//! The retention of rooms' past: policies, trimmed logs, and damaged logs that are not trimmed.

use std::path::Path;

use reapply_testing::{Host, http, until_blocking};
use serde_json::{Value, json};

use crate::{PROGRAM, counter_host, increment};
use reapply_testing::Session;

fn retain(host: &Host, arguments: &[&str]) -> String {
    let output = host.command("retain", &[&["counter"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn submit(host: &Host, room: &str, count: usize) {
    for _ in 0..count {
        let answer = host.submit(room, "{\"Increment\":1}");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// Waits until the log begins after the event `at_least`, and returns its beginning.
fn wait_for_trim(host: &Host, room: &str, at_least: u64) -> u64 {
    until_blocking("the log is trimmed", || {
        let log = http::get(&host.url(&format!("/rooms/{room}/log?limit=1")));
        match log.json_lines().first().and_then(|event| event["seq"].as_u64()) {
            Some(first) if first > at_least => Ok(first - 1),
            other => Err(format!("it begins with {other:?}; {}", host.log())),
        }
    })
}

fn checkpoints(host: &Host, room: &str) -> Vec<Value> {
    http::get(&host.url(&format!("/rooms/{room}/log?kind=checkpoint"))).json_lines()
}

#[test]
fn a_policy_is_set_shown_and_heeded_by_rooms_that_are_awake() {
    let host = counter_host(&[]);
    submit(&host, "counter/awake", 30);
    assert!(checkpoints(&host, "counter/awake").is_empty());
    assert_eq!(retain(&host, &[]), "counter: keeps all events; takes snapshots when the host sees fit\n");
    let set = retain(&host, &["--snapshot-events", "10"]);
    assert_eq!(set, "counter: keeps all events; takes snapshots after 10 events\n");
    assert_eq!(retain(&host, &[]), set);
    let shown = &http::get(&host.url("/machines/counter")).json()["retention"];
    assert_eq!(*shown, json!({ "snapshot_events": 10, "snapshot_bytes": null, "trim": false }));
    submit(&host, "counter/awake", 30);
    let found = checkpoints(&host, "counter/awake");
    assert!(found.len() >= 2, "{found:?}");
    assert_eq!(host.room("counter/awake")["view"]["count"], 60);
    // Nothing is gone.
    assert_eq!(host.room("counter/awake?seq=1")["view"]["count"], 1);
    // A new room, and one after a restart, follow it as well.
    submit(&host, "counter/new", 30);
    assert!(!checkpoints(&host, "counter/new").is_empty());
}

#[test]
fn a_trimmed_log_goes_on_and_says_where_it_begins() {
    let mut host = counter_host(&[]);
    retain(&host, &["--trim", "--snapshot-events", "10"]);
    submit(&host, "counter/short", 50);
    let begins = wait_for_trim(&host, "counter/short", 20);
    for restarted in [false, true] {
        if restarted {
            host.kill_9();
            host.restart();
        }
        let says = format!("the log of counter/short begins after event {begins}");
        for path in ["/log?after=0", "?seq=1"] {
            let gone = http::get(&host.url(&format!("/rooms/counter/short{path}")));
            assert_eq!(gone.status, 410, "{path}: {}", gone.text());
            assert!(gone.error().1.starts_with(&says), "{path}: {}", gone.text());
        }
        let shown = host.room("counter/short");
        assert_eq!(shown["view"]["count"], 50);
        assert_eq!(host.room(&format!("counter/short?seq={}", shown["seq"])), shown);
        let output = host.command("log", &["counter/short"]);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains(&says), "{output:?}");
    }
    submit(&host, "counter/short", 30);
    wait_for_trim(&host, "counter/short", begins);
    assert_eq!(host.room("counter/short")["view"]["count"], 80);
}

#[tokio::test]
async fn a_policy_trims_what_has_a_checkpoint_already_and_spares_the_rest() {
    let host = counter_host(&["--submits-per-second", "1000000"]);
    let mut writer = Session::join(&host, "counter/old", 1).await;
    for number in 1..=2_000 {
        writer.submit(number, increment(1)).await;
    }
    writer.events_to(2_000).await;
    submit(&host, "counter/small", 3);
    assert!(!checkpoints(&host, "counter/old").is_empty(), "it outgrew its first snapshot");
    retain(&host, &["--trim"]);
    wait_for_trim(&host, "counter/old", 0);
    assert_eq!(host.room("counter/old")["view"]["count"], 2_000);
    assert_eq!(host.room("counter/small?seq=1")["view"]["count"], 1);
}

#[test]
fn a_log_that_is_not_what_it_was_is_not_trimmed() {
    let host = counter_host(&[]);
    retain(&host, &["--snapshot-events", "10"]);
    submit(&host, "counter/hurt", 30);
    assert!(!checkpoints(&host, "counter/hurt").is_empty());
    let connection = rusqlite::Connection::open(host.data().join("journal.db")).unwrap();
    let sql = "UPDATE batches SET body = CAST(substr(body, 1, length(body) - 1) || x'7f' AS BLOB) WHERE expected = 4";
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    connection.close().unwrap();
    retain(&host, &["--snapshot-events", "10", "--trim"]);
    until_blocking("the operator is told", || {
        let is_told = |line: &str| line.contains("ERROR") && line.contains("counter/hurt") && line.contains("event 5");
        if host.log().lines().any(is_told) { Ok(()) } else { Err(host.log()) }
    });
    // It is not trimmed later either, and everything is there for an investigation.
    submit(&host, "counter/hurt", 30);
    let events = http::get(&host.url("/rooms/counter/hurt/log?after=0&limit=3"));
    assert_eq!((events.status, events.json_lines().len()), (200, 3));
}

#[test]
fn whoever_may_not_deploy_may_not_set_a_policy_and_nonsense_is_named() {
    let host = Host::start_program(Path::new(PROGRAM), &["--deploy-token", "sesame"]);
    let url = host.url("/machines/counter/retention");
    let put = |body: &str| http::send("PUT", &url, &[("authorization", "Bearer sesame")], Some(body.as_bytes()));
    assert_eq!(http::put(&url, b"{}").status, 401);
    let missing = put("{}");
    assert_eq!(missing.status, 404, "{}", missing.text());
    assert_eq!(missing.error().1, "there is no machine counter; deploy it first: reapply deploy DIR");
    for (body, says) in [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{\"snapshot_events\":0}", "nonzero"),
        ("{\"snapshots\":1}", "unknown field `snapshots`"),
        ("{\"trim\":1}", "expected a boolean"),
    ] {
        let refused = put(body);
        assert_eq!(refused.status, 400, "{body}");
        assert!(
            refused.error().1.starts_with("this is not a retention, which is JSON with the fields ")
                && refused.error().1.contains(says),
            "{}",
            refused.text()
        );
    }
    let refused = host.command("retain", &["counter", "--trim"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("needs the host's deploy token"), "{refused:?}");
}
