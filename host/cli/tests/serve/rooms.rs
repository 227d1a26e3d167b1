//! Rooms over plain HTTP: create, submit, read the present and the past, read the log; and the bytes that never change.

use std::io::Read;
use std::path::Path;

use reapply_sync::limits::{OPTIONS_BYTES_MAX, TRANSITION_BYTES_MAX};
use reapply_testing::{Host, http};
use serde_json::{Value, json};

use crate::{PROGRAM, components, counter_host};

/// Submits as a client with this key and number.
fn submit_as(host: &Host, key: &str, number: &str, transition: &str) -> http::Answer {
    let headers = [("reapply-client", key), ("reapply-number", number)];
    http::send("POST", &host.url("/rooms/counter/once"), &headers, Some(transition.as_bytes()))
}

#[test]
fn a_transition_over_http_is_answered_when_it_is_durable() {
    let mut host = counter_host(&[]);
    let answer = host.submit("counter/http", "{\"Increment\":5}");
    assert_eq!((answer.status, &answer.json()["seq"]), (200, &json!(1)));
    let time = answer.json()["time"].as_str().unwrap().to_owned();
    assert!(time.ends_with('Z') && time.len() == "2000-01-01T00:00:00.000000Z".len(), "{time}");
    host.kill_9();
    host.restart();
    let shown = host.room("counter/http");
    assert_eq!((&shown["seq"], &shown["view"], &shown["time"]), (&json!(1), &json!({"count": 5}), &json!(time)));
    assert_eq!((&shown["machine"], &shown["room"]), (&json!("counter"), &json!("http")));
}

#[test]
fn a_conflict_is_a_409_with_the_machines_own_words() {
    let host = counter_host(&[]);
    let answer = host.submit("counter/conflict", "{\"Decrement\":1}");
    assert_eq!(answer.status, 409);
    assert_eq!(answer.error().0, "conflict");
    assert_eq!(answer.json()["error"]["detail"], "BelowZero");
    assert_eq!(host.room("counter/conflict")["seq"], 0);
    assert!(host.events("counter/conflict").is_empty());
}

#[test]
fn what_is_no_transition_is_refused_with_the_reason() {
    let host = counter_host(&[]);
    for (body, reason) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("{\"Increment\":-1}", "invalid value"),
        ("{\"Increment\":4294967296}", "invalid value"),
        ("{\"Explode\":1}", "unknown variant `Explode`"),
        ("\"Reset\" \"Reset\"", "trailing characters"),
    ] {
        let answer = host.submit("counter/odd", body);
        let (kind, message) = answer.error();
        assert_eq!((answer.status, kind.as_str()), (422, "malformed"), "{body}: {message}");
        assert!(message.contains(reason), "{body}: {message}");
    }
    let not_text = http::send("POST", &host.url("/rooms/counter/odd"), &[], Some(&[0xff, 0xfe]));
    assert_eq!((not_text.status, not_text.error().1.as_str()), (400, "the body is not UTF-8"));
    assert_eq!(host.submit("counter/odd", "\"Reset\"").status, 200);
    assert_eq!(host.events("counter/odd").len(), 1);
}

#[test]
fn transitions_and_bodies_over_their_limits_are_told_the_limits() {
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    assert_eq!(host.administer("PUT", "/machines/blob", &components::echo()).status, 201);
    let answer = host.submit("blob/large", &"x".repeat(TRANSITION_BYTES_MAX));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = host.submit("blob/large", &"x".repeat(TRANSITION_BYTES_MAX + 1));
    let (kind, message) = answer.error();
    assert_eq!((answer.status, kind.as_str()), (413, "too-large"), "{message}");
    assert!(message.contains(&format!("the limit is {TRANSITION_BYTES_MAX}")), "{message}");

    let huge = "x".repeat(2 * 1024 * 1024);
    let answer = host.submit("blob/large", &huge);
    assert_eq!(answer.status, 413);
    assert!(answer.error().1.contains("limit"), "{}", answer.text());

    let options = format!("\"{}\"", "x".repeat(OPTIONS_BYTES_MAX));
    let answer = http::put(&host.url("/rooms/blob/options"), options.as_bytes());
    assert_eq!(answer.status, 413);
    assert!(answer.error().1.contains(&format!("the limit is {OPTIONS_BYTES_MAX}")), "{}", answer.text());
}

#[test]
fn a_request_that_is_repeated_is_applied_once() {
    let mut host = counter_host(&[]);
    let key = "0123456789abcdef0123456789abcdef";
    let first = submit_as(&host, key, "1", "{\"Increment\":1}");
    assert_eq!(first.status, 200, "{}", first.text());
    for restarted in [false, true] {
        if restarted {
            host.kill_9();
            host.restart();
        }
        let again = submit_as(&host, key, "1", "{\"Increment\":1}");
        assert_eq!((again.status, again.json()), (200, json!({ "seq": 1, "repeated": true })), "{}", again.text());
    }
    assert_eq!(submit_as(&host, key, "2", "{\"Increment\":1}").status, 200);
    // Another client's numbers are its own.
    assert_eq!(submit_as(&host, "f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0", "1", "{\"Increment\":1}").status, 200);
    assert_eq!(host.room("counter/once")["view"]["count"], 3);

    for (key, number, says) in [
        ("abc", "1", "reapply-client: expected 32 hexadecimal digits"),
        (key, "0", "reapply-number: expected a whole number from 1 to 9007199254740991"),
        (key, "one", "reapply-number: expected a whole number from 1 to 9007199254740991"),
    ] {
        let answer = submit_as(&host, key, number, "\"Reset\"");
        assert_eq!((answer.status, answer.error().1.as_str()), (400, says));
    }
}

#[test]
fn a_request_names_both_its_client_and_its_number_or_neither() {
    let host = counter_host(&[]);
    let (client, number) = ("reapply-client", "reapply-number");
    let (key, other) = ("0123456789abcdef0123456789abcdef", "f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0");
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[(client, key)], "reapply-number is missing"),
        (&[(number, "1")], "reapply-client is missing"),
        (&[(client, key), (client, other), (number, "1")], "reapply-client: the request has several"),
        (&[(client, key), (number, "1"), (number, "2")], "reapply-number: the request has several"),
    ];
    for (headers, says) in cases {
        let answer = http::send("POST", &host.url("/rooms/counter/once"), headers, Some(b"{\"Increment\":1}"));
        let (kind, message) = answer.error();
        assert_eq!((answer.status, kind.as_str()), (400, "bad-request"), "{message}");
        assert!(message.starts_with(says), "{message}");
    }
    let twice = [(client, key), (client, key), (number, "1"), (number, "1")];
    let answer = http::send("POST", &host.url("/rooms/counter/once"), &twice, Some(b"{\"Increment\":1}"));
    assert_eq!((answer.status, &answer.json()["seq"]), (200, &json!(1)), "{}", answer.text());
    assert_eq!(host.submit("counter/once", "{\"Increment\":1}").status, 200);
    assert_eq!(host.room("counter/once")["view"]["count"], 2);
}

#[test]
fn the_log_is_json_lines_with_decoded_transitions() {
    let host = counter_host(&[]);
    for transition in ["{\"Increment\":5}", "{\"Decrement\":2}", "\"Reset\""] {
        assert_eq!(host.submit("counter/log", transition).status, 200);
    }
    let answer = http::get(&host.url("/rooms/counter/log/log"));
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let events = answer.json_lines();
    assert_eq!(events.len(), 3);
    for (index, event) in events.iter().enumerate() {
        assert_eq!((&event["seq"], &event["kind"]), (&json!(index + 1), &json!("transition")));
        assert!(event["author"].as_str().unwrap().starts_with("anon-"), "{event}");
        assert_eq!(event["entropy"].as_str().unwrap().len(), 16);
        assert_eq!(event["client"].as_str().unwrap().len(), 32);
        assert_eq!(event["number"], 1);
    }
    let transitions: Vec<&Value> = events.iter().map(|event| &event["transition"]).collect();
    assert_eq!(transitions, [&json!({"Increment": 5}), &json!({"Decrement": 2}), &json!("Reset")]);
    let times: Vec<&str> = events.iter().map(|event| event["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");

    let part = http::get(&host.url("/rooms/counter/log/log?after=1&limit=1")).json_lines();
    assert_eq!(part, events[1..2]);
    assert!(http::get(&host.url("/rooms/counter/log/log?after=3")).json_lines().is_empty());
    assert!(http::get(&host.url("/rooms/counter/log/log?limit=0")).json_lines().is_empty());
}

#[test]
fn a_rooms_past_is_what_was_shown_then() {
    let mut host = counter_host(&[]);
    let mut shown = Vec::new();
    for by in 1..=20 {
        assert_eq!(host.submit("counter/past", &format!("{{\"Increment\":{by}}}")).status, 200);
        shown.push(host.room("counter/past"));
    }
    for restarted in [false, true] {
        if restarted {
            // Now there is a snapshot at the end, and the past is before it.
            assert!(host.stop().success());
            host.restart();
        }
        for then in &shown {
            assert_eq!(host.room(&format!("counter/past?seq={}", then["seq"])), *then);
        }
        assert_eq!(host.room("counter/past?seq=0")["view"]["count"], 0);
    }
    let beyond = http::get(&host.url("/rooms/counter/past?seq=21"));
    assert_eq!(beyond.status, 404);
    assert_eq!(beyond.error().1, "the room's log ends at 20; there is no state at 21");
}

#[test]
fn a_room_begins_with_its_options_once() {
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    host.deploy("trap");
    let url = host.url("/rooms/trap/options");
    assert_eq!(http::put(&url, b"{\"panic\":true}").status, 422);
    assert_eq!(http::get(&url).status, 404);
    let (_, message) = http::put(&url, b"{\"colour\":1}").error();
    assert!(message.starts_with("the machine refuses these options"), "{message}");
    assert_eq!(http::put(&url, b"{\"panic\":false}").status, 201);
    let again = http::put(&url, b"{}");
    assert_eq!((again.status, again.error().1.as_str()), (409, "the room trap/options exists already"));
    assert_eq!(host.room("trap/options")["view"]["count"], 0);
}

#[test]
fn machines_and_rooms_are_listed() {
    let host = counter_host(&[]);
    host.deploy("cells");
    assert_eq!(host.submit("counter/a", "{\"Increment\":1}").status, 200);
    assert_eq!(http::put(&host.url("/rooms/counter/b"), b"").status, 201);
    assert_eq!(http::put(&host.url("/rooms/cells/a"), b"").status, 201);
    let names = |answer: &Value, list: &str, field: &str| -> Vec<String> {
        answer[list].as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
    };
    let machines = http::get(&host.url("/machines")).json();
    assert_eq!(names(&machines, "machines", "name"), ["cells", "counter"]);
    assert_eq!(machines["machines"][1]["rooms"], 2);
    let rooms = http::get(&host.url("/rooms")).json();
    assert_eq!(names(&rooms, "rooms", "room"), ["a", "a", "b"]);
    assert_eq!(rooms["rooms"][1]["seq"], 1);
    let only = http::get(&host.url("/rooms?machine=counter")).json();
    assert_eq!(names(&only, "rooms", "room"), ["a", "b"]);
    let after = http::get(&host.url("/rooms?after=counter/a")).json();
    assert_eq!(names(&after, "rooms", "room"), ["b"]);
    let described = http::get(&host.url("/machines/counter")).json();
    assert!(described["description"]["schemas"]["transition"].is_object(), "{described}");
    assert_eq!(http::get(&host.url("/healthz")).json()["status"], "ok");
}

#[test]
fn components_are_immutable_compressed_and_open_to_all() {
    let host = counter_host(&[]);
    assert_eq!(http::get(&host.url("/reapply.js")).header("access-control-allow-origin"), "*");
    let digest = http::get(&host.url("/machines/counter")).json()["digest"].as_str().unwrap().to_owned();
    for (extension, kind) in [("wasm", "application/wasm"), ("json", "application/json")] {
        let url = host.url(&format!("/components/{digest}.{extension}"));
        let plain = http::get(&url);
        assert_eq!((plain.status, plain.header("content-type")), (200, kind));
        assert_eq!(plain.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(plain.header("access-control-allow-origin"), "*");
        if extension == "wasm" {
            assert_eq!(blake3::hash(&plain.body).to_string(), digest);
        }
        assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
        for (accepted, encoding) in
            [("gzip", "gzip"), ("br", "br"), ("gzip, deflate, br", "br"), ("br;q=0, gzip", "gzip")]
        {
            let packed = http::send("GET", &url, &[("accept-encoding", accepted)], None);
            assert_eq!((packed.header("content-encoding"), packed.header("vary")), (encoding, "accept-encoding"));
            let mut reader: Box<dyn Read> = match encoding {
                "gzip" => Box::new(flate2::read::GzDecoder::new(&packed.body[..])),
                _ => Box::new(brotli::Decompressor::new(&packed.body[..], 4096)),
            };
            let mut unpacked = Vec::new();
            reader.read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, plain.body);
            assert!(packed.body.len() < plain.body.len() * 2 / 3, "{} of {}", packed.body.len(), plain.body.len());
        }
    }
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let host = counter_host(&[]);
    let digest = http::get(&host.url("/machines/counter")).json()["digest"].as_str().unwrap().to_owned();
    let component = format!("/components/{digest}.wasm");
    let data = ["/machines/counter", "/rooms/counter/policy", "/rooms/counter/%FF", &component];
    for path in data {
        let answer = http::get(&host.url(path));
        assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    let missing = http::get(&host.url("/nothing"));
    assert!(missing.header("content-security-policy").starts_with("default-src 'none'; style-src"));
    let client = http::get(&host.url("/reapply.js"));
    assert!(client.header("content-security-policy").contains("script-src 'self' 'wasm-unsafe-eval'"));
    let page = http::get(&host.url("/"));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    for part in ["/start_page.css", "/start_page.js"] {
        assert!(page.text().contains(part));
        assert_eq!(http::get(&host.url(part)).status, 200, "{part}");
    }
}

#[test]
fn without_pages_there_is_a_start_page_and_the_client() {
    let host = counter_host(&[]);
    let start = http::get(&host.url("/"));
    assert_eq!(start.status, 200);
    assert!(start.text().to_lowercase().contains("<!doctype html>"));
    let client = http::get(&host.url("/reapply.js"));
    assert!(client.text().contains("connect"), "{}", client.text());
}
