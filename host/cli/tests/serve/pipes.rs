//! Commands whose reader is gone, such as `reapply import FILE | head -1`.

use std::io::pipe;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::{PROGRAM, counter_host};

#[test]
fn no_command_panics_where_nobody_reads_what_it_prints() {
    let host = counter_host(&[]);
    assert_eq!(host.submit("counter/lobby", "{\"Increment\":1}").status, 200);
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (export, backup) = (path("lobby.reapply"), path("backup"));
    let url = host.url("");
    let commands: [&[&str]; 11] = [
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
        &["--help"],
    ];
    for arguments in commands {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = Command::new(PROGRAM)
            .args(arguments)
            .env("REAPPLY_DEPLOY_TOKEN", host.token())
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked") && output.status.code() != Some(101), "{arguments:?}: {said}");
        assert!(said.is_empty(), "{arguments:?}: {said}");
    }
    // Each had done its work by then.
    for done in [Path::new(&export), &folder.path().join("backup/journal.db"), &folder.path().join("data/journal.db")] {
        assert!(done.exists(), "{}", done.display());
    }
    for room in ["counter/imported", "counter/forked"] {
        assert!(host.room(room)["seq"].as_u64().is_some(), "{room}");
    }
}
