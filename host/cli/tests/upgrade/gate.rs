//! The refusals of the gate, and the differences that it shows.

use serde_json::{Value, json};

use crate::{add, build_of, builds, built_anew, notes_host, refused, submit, upgrade};

#[test]
fn a_migration_that_traps_for_one_room_of_ten_is_refused_by_its_name_and_changes_nothing() {
    let (host, old) = notes_host(&[]);
    let rooms: Vec<String> = (0..10).map(|n| format!("notes/r{n}")).collect();
    for room in &rooms {
        submit(&host, room, &add("sow"));
    }
    submit(&host, "notes/r7", &add(""));
    let new = host.deploy_as("notes", "notes-v2");
    let seen = |room: &String| (host.room(room), host.events(room));
    let before: Vec<_> = rooms.iter().map(seen).collect();

    for arguments in [&["notes"][..], &["notes", "--dry-run"], &["notes/r7"]] {
        let told = refused(&host, arguments);
        let failing: Vec<&str> = told.lines().filter(|line| line.starts_with("fails ")).collect();
        let [failing] = failing[..] else { panic!("one room fails: {told}") };
        assert!(failing.starts_with("fails    notes/r7: the new build cannot restore the state at 2: "), "{failing}");
        assert!(failing.ends_with("a note says something"), "the machine's own words are there: {failing}");
        assert!(told.trim_end().ends_with("would fail: notes/r7"), "{told}");
    }
    let whole = refused(&host, &["notes"]);
    assert!(whole.contains("the upgrade is refused, and nothing has changed: 1 of 10 rooms"), "{whole}");
    assert_eq!(rooms.iter().map(seen).collect::<Vec<_>>(), before);
    assert_eq!(builds(&host, "notes"), json!([{ "digest": old, "rooms": 10 }]));

    // The others can be upgraded one by one, and all of them when the note is gone.
    upgrade(&host, &["notes/r0"]);
    assert_eq!((build_of(&host, "notes/r0"), build_of(&host, "notes/r1")), (new.clone(), old));
    submit(&host, "notes/r7", &json!({ "Remove": 1 }));
    let told = upgrade(&host, &["notes"]);
    assert!(told.contains("9 rooms to try with") && told.contains("; 1 room runs it already"), "{told}");
    assert_eq!(builds(&host, "notes"), json!([{ "digest": new, "rooms": 10 }]));
}

#[test]
fn a_dry_run_shows_what_would_differ_and_changes_nothing() {
    let (host, old) = notes_host(&[]);
    submit(&host, "notes/a", &add("sow"));
    submit(&host, "notes/a", &json!({ "Toggle": 0 }));
    submit(&host, "notes/a", &add("reap"));
    let new = host.deploy_as("notes", "notes-v2");
    let events = host.events("notes/a");
    let told = upgrade(&host, &["notes", "--dry-run", "--diff"]);
    // The new fields are shown, although they are intended.
    let shown =
        ["differs  notes/a\n  --- now\n  +++ upgraded\n", "  +  \"done\": 1,\n", "  +      \"initial\": \"s\",\n"];
    for part in shown {
        assert!(told.contains(part), "{part:?} is missing: {told}");
    }
    // The machine does not have this transition any more, so it would have left the note as it was.
    assert!(
        told.contains("of the last 3 events it refuses 1, first 2, {\"Toggle\":0}: malformed transition: "),
        "{told}"
    );
    assert!(
        told.contains("+++ replayed on the new build\n") && told.contains("  -  \"done\": 1,\n  +  \"done\": 0,\n"),
        "{told}"
    );
    assert!(told.ends_with("nothing fails; 0 would be the same, 1 would differ\n"), "{told}");
    assert_eq!((build_of(&host, "notes/a"), host.events("notes/a")), (old.clone(), events));

    // A summary is enough for most. Here it leaves out only the lines around the changes.
    let told = upgrade(&host, &["notes", "--dry-run"]);
    assert!(
        told.contains("differs  notes/a\n  the view after the upgrade: 3 lines new, 0 gone\n    +  \"done\": 1,\n"),
        "{told}"
    );
    assert!(told.contains("refuses 1, first 2") && !told.contains("--- now") && !told.contains("--diff"), "{told}");

    // Without the events it is only the view.
    let told = upgrade(&host, &["notes", "--dry-run", "--diff", "--replay", "1"]);
    assert!(told.contains("  +      \"initial\": \"s\",\n") && !told.contains("refuses"), "{told}");
    assert_eq!(builds(&host, "notes"), json!([{ "digest": old, "rooms": 1 }]));
    assert_ne!(old, new);
}

#[test]
fn a_conflict_that_only_the_new_build_has_is_shown() {
    let (host, _) = notes_host(&[]);
    submit(&host, "notes/a", &add(""));
    submit(&host, "notes/a", &add("sow"));
    submit(&host, "notes/a", &json!({ "Remove": 0 }));
    host.deploy_as("notes", "notes-v2");
    let told = upgrade(&host, &["notes/a", "--dry-run", "--diff"]);
    // First the empty note is refused; then the removed place is that of the other note.
    assert!(told.contains("it refuses 1, first 1, {\"Add\":\"\"}: conflict: \"Empty\""), "{told}");
    assert!(told.contains("+++ replayed on the new build\n"), "{told}");
}

#[test]
fn rooms_that_differ_alike_are_shown_once_and_many_are_counted() {
    let (host, _) = notes_host(&[]);
    for n in 0..7 {
        submit(&host, &format!("notes/r{n}"), &add("sow"));
    }
    host.deploy_as("notes", "notes-v2");
    let told = upgrade(&host, &["notes", "--dry-run"]);
    assert_eq!(told.matches("\"initial\"").count(), 1, "{told}");
    assert_eq!(told.matches(" does\n").count(), 4, "{told}");
    assert!(told.contains("2 more rooms differ; see all differences: --diff\n"), "{told}");
    let told = upgrade(&host, &["notes", "--dry-run", "--diff"]);
    assert_eq!((told.matches("--- now").count(), told.matches(" does\n").count()), (1, 6), "{told}");
}

#[test]
fn a_build_that_does_the_same_is_found_to_do_so() {
    let (host, old) = notes_host(&[]);
    for n in 0..3 {
        submit(&host, &format!("notes/r{n}"), &add("sow"));
    }
    let folder = tempfile::tempdir().unwrap();
    let new = host.deploy_file("notes", &built_anew("notes-v1", folder.path()));
    assert_ne!(old, new);
    let told = upgrade(&host, &["notes", "--dry-run"]);
    assert_eq!(
        told,
        format!("3 rooms to try with {}\nnothing fails; 3 would be the same, 0 would differ\n", &new[..12])
    );
}

#[test]
fn a_room_goes_back_to_its_former_build_where_that_reads_its_state() {
    let (host, first) = notes_host(&[]);
    submit(&host, "notes/a", &add("sow"));
    let folder = tempfile::tempdir().unwrap();
    let anew = host.deploy_file("notes", &built_anew("notes-v1", folder.path()));
    upgrade(&host, &["notes/a"]);
    assert_eq!(build_of(&host, "notes/a"), anew);
    submit(&host, "notes/a", &add("reap"));
    upgrade(&host, &["notes/a", "--to", &first[..8]]);
    assert_eq!(build_of(&host, "notes/a"), first);
    submit(&host, "notes/a", &add("sell"));
    assert_eq!(crate::texts(&host.room("notes/a")["view"]), ["sow", "reap", "sell"]);

    host.deploy_as("notes", "notes-v2");
    upgrade(&host, &["notes/a"]);
    let told = refused(&host, &["notes/a", "--to", &first]);
    assert!(told.contains("the snapshot has state version 2, and this build reads only 1"), "{told}");
}

#[test]
fn over_http_each_line_is_json_and_the_last_is_the_report() {
    let (host, old) = notes_host(&[]);
    submit(&host, "notes/a", &add("sow"));
    submit(&host, "notes/b", &add(""));
    let new = host.deploy_as("notes", "notes-v2");
    let answer = host.administer("POST", "/machines/notes/upgrade", b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
    let lines = answer.json_lines();
    let kinds: Vec<&Value> = lines.iter().map(|line| &line["line"]).collect();
    assert_eq!(kinds, ["plan", "tried", "tried", "report"]);
    assert_eq!(lines[0], json!({ "line": "plan", "to": new, "rooms": 2, "skipped": 0, "more": false }));
    let [same, failing] = [&lines[1], &lines[2]];
    assert_eq!((&same["room"], &same["from"], &same["head"]), (&json!("notes/a"), &json!(old), &json!(1)));
    assert_eq!((&same["finding"], &same["replayed"]), (&json!("differs"), &json!(1)));
    assert_eq!(
        (&failing["finding"], &failing["step"], &failing["seq"]),
        (&json!("fails"), &json!("restore"), &json!(1))
    );
    let report = json!({
        "line": "report", "to": new, "dry_run": false, "skipped": 0, "same": 0, "differ": 1,
        "failing": { "count": 1, "rooms": ["notes/b"] }, "broken": { "count": 0, "rooms": [] }, "upgraded": 0, "kept": { "count": 0, "rooms": [] }, "more": false,
    });
    assert_eq!(lines[3], report);
}
