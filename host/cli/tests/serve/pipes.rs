//! Commands whose output cannot be printed: the reader is gone, as in `reapply import FILE | head -1`, or the disk is full.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, pipe};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use reapply_testing::{Host, http};
use tempfile::TempDir;

use crate::{PROGRAM, counter_host};

/// Returns a host with a room, for [`run_all`].
fn host() -> Host {
    let host = counter_host(&[]);
    assert_eq!(host.submit("counter/lobby", "{\"Increment\":1}").status, 200);
    host
}

/// Runs commands that print something, each with the output that `stdout` makes, and passes on their ends.
fn run_all(host: &Host, folder: &Path, stdout: impl Fn() -> Stdio, mut ended: impl FnMut(&[&str], Output)) {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (export, backup) = (path("lobby.reapply"), path("backup"));
    let url = host.url("");
    let component = guest_components::component("counter").to_string_lossy().into_owned();
    let commands: [&[&str]; 13] = [
        &["deploy", &component, "--host", &url],
        &["upgrade", "counter", "--dry-run", "--host", &url],
        &["scrub", "--host", &url],
        &["export", "counter/lobby", "--out", &export, "--host", &url],
        &["verify", &export],
        &["verify", "counter/lobby", "--host", &url],
        &["import", &export, "--as", "counter/imported", "--host", &url],
        &["fork", "counter/lobby", "counter/forked", "--host", &url],
        &["replay", &export],
        &["log", "counter/lobby", "--host", &url],
        &["retain", "counter", "--host", &url],
        &["backup", &backup, "--host", &url],
        &["restore", &backup, "--data", &path("data")],
    ];
    for arguments in commands {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env("REAPPLY_DEPLOY_TOKEN", host.token()).stdout(stdout()).stderr(Stdio::piped());
        ended(arguments, command.output().unwrap());
    }
    // Each had done its work by then.
    for done in ["lobby.reapply", "backup/journal.db", "data/journal.db"] {
        assert!(folder.join(done).exists(), "{done}");
    }
    for room in ["counter/imported", "counter/forked"] {
        assert!(host.room(room)["seq"].as_u64().is_some(), "{room}");
    }
}

#[test]
fn no_command_says_anything_where_nobody_reads_what_it_prints() {
    let (host, folder) = (host(), TempDir::new().unwrap());
    let unread = || {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        writer.into()
    };
    run_all(&host, folder.path(), unread, |arguments, output| {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.is_empty() && output.status.code() != Some(101), "{arguments:?}: {said}");
    });
}

#[cfg(target_os = "linux")]
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[test]
#[cfg(target_os = "linux")]
fn a_command_that_cannot_print_says_so_in_one_line() {
    let (host, folder) = (host(), TempDir::new().unwrap());
    run_all(&host, folder.path(), full, |arguments, output| {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.lines().count() == 1 && said.contains("cannot print"), "{arguments:?}: {said}");
        assert!(said.contains("No space left on device"), "{arguments:?}: {said}");
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_standard_error_changes_nothing() {
    let refused = Command::new(PROGRAM).args(["verify", "Nothing"]).stderr(full()).status().unwrap();
    assert_eq!(refused.code(), Some(1));
    let data = TempDir::new().unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .env_remove("HOME")
        .env_remove("XDG_STATE_HOME");
    let mut host = command.stdout(Stdio::piped()).stderr(full()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap();
    for _ in 0..2 {
        // A report is due for each.
        let answer = http::send("GET", &format!("{address}/rooms"), &[("origin", "https://evil.example")], None);
        assert_eq!(answer.status, 403);
    }
    host.kill().unwrap();
    host.wait().unwrap();
}
