//! Upgrades of a room that people are using.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reapply_testing::{Host, http, until_blocking};
use serde_json::Value;

use crate::{add, builds, notes_host, texts, upgrade};

/// The number of people who write at once.
const WRITERS: u64 = 4;

/// The number of upgrades meanwhile, back and forth.
const UPGRADES: usize = 6;

#[test]
fn what_is_submitted_while_a_room_is_upgraded_is_there_exactly_once() {
    let (host, first) = notes_host(&[]);
    assert_eq!(http::put(&host.url("/rooms/notes/busy"), b"").status, 201);
    let folder = tempfile::tempdir().unwrap();
    let anew = host.deploy_file("notes", &crate::built_anew("notes-v1", folder.path()));
    let last = host.deploy_as("notes", "notes-v2");
    let is_over = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    let counts: Vec<u64> = std::thread::scope(|scope| {
        let (host, written, is_over) = (&host, &written, &is_over);
        let writers = (0..WRITERS).map(|writer| scope.spawn(move || write(host, writer, written, is_over)));
        let writers: Vec<_> = writers.collect();
        let to = [&anew, &first].into_iter().cycle().take(UPGRADES - 1).chain([&last]);
        for (index, to) in to.enumerate() {
            // Some are accepted by each build.
            wait_for(written, (index as u64 + 1) * 20);
            upgrade(host, &["notes/busy", "--to", to, "--replay", "50"]);
        }
        wait_for(written, written.load(Ordering::SeqCst) + 20);
        is_over.store(true, Ordering::SeqCst);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });

    let mut expected: Vec<String> =
        counts.iter().zip(0..).flat_map(|(count, writer)| (1..=*count).map(move |n| text(writer, n))).collect();
    let room = host.room("notes/busy");
    let mut found = texts(&room["view"]);
    // Each writer's own notes are in order, regardless of the notes between them.
    for writer in 0..WRITERS {
        let prefix = format!("{writer}-");
        let own: Vec<&str> = found.iter().copied().filter(|text| text.starts_with(&prefix)).collect();
        let in_order: Vec<String> = (1..=counts[writer as usize]).map(|n| text(writer, n)).collect();
        assert_eq!(own, in_order);
    }
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let events = host.events("notes/busy");
    let upgrades = events.iter().filter(|event| event["kind"] == "upgraded").map(|event| &event["digest"]);
    assert_eq!(upgrades.collect::<Vec<&Value>>(), [&anew, &first, &anew, &first, &anew, &last]);
    assert_eq!(builds(&host, "notes"), serde_json::json!([{ "digest": last, "rooms": 1 }]));
    let head = room["seq"].as_u64().unwrap();
    let before = http::get(&host.url(&format!("/rooms/notes/busy?seq={head}"))).json();
    assert_eq!(before["view"], room["view"], "the log replays to what the room shows");
}

/// Writes notes until it is over, each until it is accepted, and returns their number.
fn write(host: &Host, writer: u64, written: &AtomicU64, is_over: &AtomicBool) -> u64 {
    let key = format!("{writer:032x}");
    let mut number = 0;
    while !is_over.load(Ordering::SeqCst) {
        number += 1;
        let body = add(&text(writer, number)).to_string();
        let headers = [("reapply-client", key.as_str()), ("reapply-number", &number.to_string())];
        until_blocking("a note is accepted", || {
            let answer = http::send("POST", &host.url("/rooms/notes/busy"), &headers, Some(body.as_bytes()));
            // A request that is repeated after a lost answer gets its earlier decision.
            if answer.status == 200 { Ok(()) } else { Err(format!("{}: {}", answer.status, answer.text())) }
        });
        written.fetch_add(1, Ordering::SeqCst);
    }
    number
}

fn wait_for(written: &AtomicU64, enough: u64) {
    until_blocking("people write", || match written.load(Ordering::SeqCst) {
        count if count >= enough => Ok(()),
        count => Err(format!("{count} notes instead of {enough}")),
    });
}

fn text(writer: u64, number: u64) -> String {
    format!("{writer}-{number}")
}
