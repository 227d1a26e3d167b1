//! The causes that commands name: of what cannot be read, and of requests that the host refuses.

use std::path::Path;
use std::process::{Command, Stdio};

use reapply_testing::Host;

use crate::{PROGRAM, counter_host};

/// Returns the message of a command that fails.
fn refusal(host: &Host, arguments: &[&str]) -> String {
    let output = host.command(arguments[0], &arguments[1..]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
    told
}

/// Even root cannot follow a link to itself, so this does not need another user.
#[test]
#[cfg(unix)]
fn what_cannot_be_read_is_not_taken_for_missing() {
    let host = counter_host(&[]);
    let folder = tempfile::tempdir().unwrap();
    let unreadable = folder.path().join("unreadable");
    std::os::unix::fs::symlink(&unreadable, &unreadable).unwrap();
    let (unreadable, new) = (unreadable.to_string_lossy(), folder.path().join("new"));
    let told = refusal(&host, &["restore", &unreadable, "--data", &new.to_string_lossy()]);
    assert!(told.contains("cannot read") && !told.contains("not a backup"), "{told}");
    let told = refusal(&host, &["verify", &unreadable]);
    assert!(told.contains("cannot be read (") && !told.contains("there is no file"), "{told}");
    let told = refusal(&host, &["retain", "counter", "--trim", "--data", &unreadable]);
    assert!(told.contains(&format!("the data directory {unreadable} cannot be read (")), "{told}");
}

#[test]
fn what_is_missing_is_told_by_name() {
    let host = counter_host(&[]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("file"), "x").unwrap();
    let told = refusal(&host, &["restore", &path(""), "--data", &path("new")]);
    assert!(told.contains("is not a backup: there is no journal.db in it"), "{told}");
    assert!(refusal(&host, &["verify", &path("missing")]).contains("there is no file"));
    assert!(refusal(&host, &["verify", &path("")]).contains("is a folder"));
    for (data, says) in [
        ("missing", "there is no data directory "),
        ("file", "is not a data directory, but a file"),
        ("", "no host is using the data directory "),
    ] {
        let told = refusal(&host, &["retain", "counter", "--trim", "--data", &path(data)]);
        assert!(told.contains(says) && told.contains("needs the host's deploy token"), "{told}");
    }
}

#[test]
fn a_token_that_is_refused_is_told_by_where_it_came_from() {
    let host = counter_host(&[]);
    let told = refusal(&host, &["retain", "counter", "--trim", "--token", "wrong"]);
    assert!(told.contains("the host refused the deploy token from --token or REAPPLY_DEPLOY_TOKEN"), "{told}");
}

#[test]
fn an_empty_variable_counts_as_one_that_is_not_set() {
    let empty = [("REAPPLY_DEPLOY_TOKEN".to_owned(), String::new())];
    let host = Host::start_program_in(Path::new(PROGRAM), &std::env::temp_dir(), &[], &empty);
    host.deploy("counter");
    let mut command = Command::new(PROGRAM);
    command.args(["retain", "counter", "--trim", "--host", &host.url(""), "--data"]).arg(host.data());
    for variable in ["REAPPLY_DEPLOY_TOKEN", "REAPPLY_HOST", "REAPPLY_DATA"] {
        command.env(variable, "");
    }
    let output = command.env_remove("HOME").env_remove("XDG_STATE_HOME").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
