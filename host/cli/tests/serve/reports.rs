//! The operator's log: foreign text forges nothing in it, and nobody can flood it.

use std::path::Path;

use reapply_sync::{ClientMessage, Digest, Seq};
use reapply_testing::{Host, http};

use super::components::alarming;
use crate::{PROGRAM, counter_host};
use reapply_testing::Session;

/// A forged report, in a new line and in red, with other characters that terminals treat as a new line.
const FORGED: &str = "it\n2026-01-01T00:00:00.000000Z ERROR forged\r\u{1b}[31m\u{9b}2J\u{2028}";

/// Checks that a log holds its own lines only, and no terminal commands.
fn assert_unforged(log: &str) {
    for line in log.lines() {
        let time = line.split(' ').next().unwrap_or_default();
        assert!(humantime::parse_rfc3339(time).is_ok(), "no report begins like this: {line:?}");
        assert!(!line.chars().any(char::is_control) && !line.contains('\u{2028}'), "{line:?}");
        assert!(!line.contains("Z ERROR forged") || line.contains("\\n2026"), "{line:?}");
    }
}

#[test]
fn what_a_machine_says_stays_in_its_line() {
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    assert_eq!(host.administer("PUT", "/machines/forger", &alarming(FORGED)).status, 201);
    assert_eq!(host.submit("forger/lobby", "x").status, 200);
    host.wait_for_log("the alarm failed");
    assert!(host.log().contains("\\u{1b}[31m"), "{}", host.log());
    assert_unforged(&host.log());
}

#[test]
fn what_a_request_says_stays_in_its_line() {
    let host = counter_host(&[]);
    // A header cannot hold line breaks, but its bytes read as UTF-8 may be as bad.
    let origin = "https://\u{9b}31m\u{2028}.example";
    let answer = http::send("GET", &host.url("/rooms"), &[("origin", origin)], None);
    assert_eq!(answer.status, 403);
    host.wait_for_log("a page was refused");
    assert!(host.log().contains("\\u{9b}31m"), "{}", host.log());
    assert_unforged(&host.log());
}

#[test]
fn what_a_host_says_stays_in_the_terminals_line() {
    let host = counter_host(&[]);
    assert_eq!(host.administer("PUT", "/machines/forger", &alarming(FORGED)).status, 201);
    let refused = host.command("log", &["counter/lobby", "--kind", FORGED]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(!told.contains('\u{1b}') && !told.contains('\u{9b}') && told.contains("\\u{1b}"), "{told:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn reports_that_cannot_be_written_stop_nothing() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("reapply");
    std::fs::write(&program, format!("#!/bin/sh\nexec '{PROGRAM}' \"$@\" 2>/dev/full\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut host = Host::start_program(&program, &[]);
    // Deployments, faults and refusals are reported.
    assert_eq!(host.administer("PUT", "/machines/forger", &alarming("x")).status, 201);
    assert_eq!(host.submit("forger/lobby", "x").status, 200);
    let refused = http::send("GET", &host.url("/rooms"), &[("origin", "https://other.example")], None);
    assert_eq!((refused.status, host.submit("forger/lobby", "x").status), (403, 200));
    assert!(host.stop().success());
}

#[test]
fn what_participants_say_is_printed_without_terminal_commands_and_means_the_same() {
    const SAID: &str = "a\u{9b}31mRED \u{202e}evil\u{7f}";
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    host.deploy("todo");
    let transition = serde_json::json!({ "Title": { "Replace": SAID } });
    assert_eq!(host.submit("todo/lobby", &transition.to_string()).status, 200);
    let printed = |command: &str, arguments: &[&str]| {
        let output = host.command(command, &[&["todo/lobby"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        let is_unfit = |char: char| (char.is_control() && char != '\n') || char == '\u{202e}';
        assert!(!printed.contains(is_unfit) && printed.contains("a\\u009b31mRED \\u202eevil\\u007f"), "{printed:?}");
        printed
    };
    let event = serde_json::from_str::<serde_json::Value>(&printed("log", &["--kind", "transition"])).unwrap();
    assert_eq!(event["transition"], transition, "{event}");
    let state = serde_json::from_str::<serde_json::Value>(&printed("replay", &[])).unwrap();
    assert_eq!(state["view"]["title"], SAID, "{state}");
    printed("log", &["--format", "csv"]);
    printed("replay", &["--step"]);
}

#[tokio::test]
async fn a_flood_of_reports_is_counted() {
    const REPORTS: u64 = 1_000;
    let mut host = counter_host(&[]);
    let mut session = Session::join(&host, "counter/lobby", 1).await;
    let diverged = ClientMessage::Diverged { seq: Seq(0), ours: Some(Digest([7; 32])) };
    for _ in 0..REPORTS {
        session.say(&diverged).await;
    }
    let origin = "https://evil.example";
    for _ in 0..REPORTS {
        assert_eq!(http::send("GET", &host.url("/rooms"), &[("origin", origin)], None).status, 403);
    }
    assert!(host.stop().success());
    let log = host.log();
    let of_kind = |words: &str| log.lines().filter(|line| line.contains(words)).map(str::to_owned).collect::<Vec<_>>();
    let counted = |line: &String| line.split("count=").nth(1)?.split(' ').next()?.parse::<u64>().ok();
    let counts = of_kind("more reports of one kind");
    let (counts, told): (Vec<String>, Vec<String>) =
        of_kind("a page was refused").into_iter().partition(|line| counts.contains(line));
    assert_eq!(told.len() as u64 + counts.iter().filter_map(counted).sum::<u64>(), REPORTS, "{counts:?}");
    assert!(told.len() < REPORTS as usize / 2, "{}", told.len());
    assert!(of_kind("a replica diverged").len() < 100, "{}", of_kind("a replica diverged").len());
}
