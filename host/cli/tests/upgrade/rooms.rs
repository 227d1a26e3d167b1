//! Upgraded rooms: their logs, their past, and how they wake.

use reapply_testing::http;
use serde_json::{Value, json};

use crate::{add, build_of, builds, notes_host, run, submit, texts, upgrade};

fn past(host: &reapply_testing::Host, room: &str, seq: u64) -> Value {
    http::get(&host.url(&format!("/rooms/{room}?seq={seq}"))).json()
}

#[test]
fn rooms_that_sleep_are_woken_for_it_and_go_on() {
    let (mut host, _) = notes_host(&[]);
    for n in 0..5 {
        submit(&host, &format!("notes/r{n}"), &add("sow"));
    }
    let new = host.deploy_as("notes", "notes-v2");
    host.kill_9();
    host.restart();
    let told = upgrade(&host, &["notes"]);
    assert_eq!(told.lines().filter(|line| line.starts_with("upgraded notes/r")).count(), 5, "{told}");
    assert!(told.ends_with(&format!("upgraded 5 rooms to {}\n", &new[..12])), "{told}");
    assert_eq!(builds(&host, "notes"), json!([{ "digest": new, "rooms": 5 }]));
    submit(&host, "notes/r3", &json!({ "Finish": 0 }));
    assert_eq!(host.room("notes/r3")["view"]["done"], 1);

    // Nothing is left to do.
    let told = upgrade(&host, &["notes"]);
    assert!(
        told.contains("0 rooms to try with") && told.ends_with(&format!("upgraded 0 rooms to {}\n", &new[..12])),
        "{told}"
    );
}

#[test]
fn a_repeated_request_is_recognised_though_the_new_build_cannot_read_it() {
    let (mut host, _) = notes_host(&[]);
    let ask = |host: &reapply_testing::Host, number: &str, transition: &Value| {
        let headers = [("reapply-client", "0123456789abcdef0123456789abcdef"), ("reapply-number", number)];
        http::send("POST", &host.url("/rooms/notes/a"), &headers, Some(transition.to_string().as_bytes()))
    };
    submit(&host, "notes/a", &add("sow"));
    let toggle = json!({ "Toggle": 0 });
    assert_eq!(ask(&host, "1", &toggle).json()["seq"], 2);
    host.deploy_as("notes", "notes-v2");
    upgrade(&host, &["notes/a"]);
    for restarted in [false, true] {
        if restarted {
            host.kill_9();
            host.restart();
        }
        let again = ask(&host, "1", &toggle);
        assert_eq!((again.status, again.json()), (200, json!({ "seq": 2, "repeated": true })), "{}", again.text());
    }
    let rejections = |host: &reapply_testing::Host| http::get(&host.url("/rooms/notes/a/rejections")).json_lines();
    assert!(rejections(&host).is_empty());
    // A new number is rejected, and stays undecided.
    assert_eq!((ask(&host, "2", &toggle).status, &rejections(&host)[0]["kind"]), (422, &json!("malformed")));
    assert_eq!(ask(&host, "2", &json!({ "Finish": 0 })).status, 200);
}

#[test]
fn each_range_of_the_log_is_replayed_by_the_build_that_was_current_there() {
    let (mut host, old) = notes_host(&[]);
    submit(&host, "notes/a", &add("sow"));
    submit(&host, "notes/a", &json!({ "Toggle": 0 }));
    let new = host.deploy_as("notes", "notes-v2");
    upgrade(&host, &["notes/a"]);
    let rewritten = submit(&host, "notes/a", &json!({ "Rewrite": { "place": 0, "text": "reap" } }));
    let events = host.events("notes/a");
    let kinds: Vec<&Value> = events.iter().map(|event| &event["kind"]).filter(|kind| *kind != "checkpoint").collect();
    assert_eq!(kinds, ["transition", "transition", "upgraded", "transition"]);
    assert_eq!((&events[1]["transition"], &events[2]["digest"]), (&json!({ "Toggle": 0 }), &json!(new)));
    let later = http::get(&host.url("/rooms/notes/a/log?after=3&kind=transition:Rewrite")).json_lines();
    assert_eq!(later.iter().map(|event| &event["seq"]).collect::<Vec<_>>(), [&json!(rewritten)]);
    assert_eq!(events.last().unwrap()["transition"], json!({ "Rewrite": { "place": 0, "text": "reap" } }));

    let now = host.room("notes/a");
    for restarted in [false, true] {
        if restarted {
            host.kill_9();
            host.restart();
        }
        let [first, toggled, upgraded, last] = [1, 2, 3, rewritten].map(|seq| past(&host, "notes/a", seq));
        assert_eq!(
            (&first["digest"], &first["view"]),
            (&json!(old), &json!({ "notes": [{ "text": "sow", "done": false }] }))
        );
        assert_eq!((&toggled["digest"], &toggled["view"]["notes"][0]["done"]), (&json!(old), &json!(true)));
        let migrated = json!({ "done": 1, "notes": [{ "initial": "s", "text": "sow", "done": true }] });
        assert_eq!((&upgraded["digest"], &upgraded["view"]), (&json!(new), &migrated));
        assert_eq!((&last["digest"], &last["view"]), (&json!(new), &now["view"]));
        assert_eq!(host.room("notes/a"), now);
        assert_eq!(host.events("notes/a"), events);
    }
    assert_eq!(texts(&now["view"]), ["reap"]);
}

#[test]
fn a_room_is_proved_across_its_upgrades_and_so_is_a_file_from_before() {
    let (host, old) = notes_host(&[]);
    for n in 0..40 {
        submit(&host, "notes/a", &add(&format!("{n} {}", "long ".repeat(200))));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("before.reapply").to_string_lossy().into_owned();
    run(&host, "export", &["notes/a", "--out", &file]).unwrap();
    let new = host.deploy_as("notes", "notes-v2");
    upgrade(&host, &["notes/a"]);
    for n in 0..40 {
        submit(&host, "notes/a", &json!({ "Rewrite": { "place": n, "text": "short ".repeat(200) } }));
    }
    let told = run(&host, "verify", &["notes/a"]).unwrap();
    assert!(told.contains(&old) && told.contains(&new), "both builds were needed: {told}");
    let told = run(&host, "verify", &[&file]).unwrap();
    assert!(told.contains(&old) && !told.contains(&new), "{told}");
}

#[test]
fn a_new_build_says_how_many_rooms_it_is_not_for_yet() {
    let (host, old) = notes_host(&[]);
    submit(&host, "notes/a", &add("sow"));
    submit(&host, "notes/b", &add("sow"));
    let v2 = guest_components::component("notes-v2");
    let told = run(&host, "deploy", &[&v2.to_string_lossy(), "--name", "notes"]).unwrap();
    assert!(
        told.contains("2 rooms still run other builds; see what an upgrade would do: reapply upgrade notes --dry-run"),
        "{told}"
    );
    submit(&host, "notes/c", &add("sow"));
    let new = build_of(&host, "notes/c");
    assert_eq!(http::get(&host.url("/machines/notes")).json()["digest"], new.as_str());
    let mut expected = vec![json!({ "digest": old, "rooms": 2 }), json!({ "digest": new, "rooms": 1 })];
    expected.sort_by_key(|build| build["digest"].as_str().unwrap().to_owned());
    assert_eq!(builds(&host, "notes"), Value::Array(expected));
    let listed = http::get(&host.url("/rooms?machine=notes")).json();
    let digests: Vec<&Value> = listed["rooms"].as_array().unwrap().iter().map(|room| &room["digest"]).collect();
    assert_eq!(digests, [&old, &old, &new]);
}
