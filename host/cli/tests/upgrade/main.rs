//! Upgrades with the running binary: the gate's refusals and findings, and the effects on rooms, their logs and their people.

mod access;
mod failures;
mod gate;
mod job;
mod rooms;
mod under_load;

use std::path::{Path, PathBuf};

use reapply_testing::{Host, http, other_build};
use serde_json::{Value, json};

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_reapply");

/// Starts a host with the machine `notes`, which is `fixtures/notes-v1`. Also returns its digest.
fn notes_host(arguments: &[&str]) -> (Host, String) {
    let host = Host::start_program(Path::new(PROGRAM), arguments);
    let digest = host.deploy_as("notes", "notes-v1");
    (host, digest)
}

/// Runs a command against the host: returns its output, or its exit code and its error.
fn run(host: &Host, command: &str, arguments: &[&str]) -> Result<String, (Option<i32>, String)> {
    let output = host.command(command, arguments);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err((output.status.code(), text(&output.stdout) + &text(&output.stderr)))
}

/// Runs `reapply upgrade`, which must succeed.
fn upgrade(host: &Host, arguments: &[&str]) -> String {
    run(host, "upgrade", arguments).unwrap_or_else(|(code, told)| panic!("it ended with {code:?}: {told}"))
}

/// Runs `reapply upgrade`, which must fail.
fn refused(host: &Host, arguments: &[&str]) -> String {
    let (code, told) = run(host, "upgrade", arguments).unwrap_err();
    assert_eq!(code, Some(1), "{told}");
    told
}

/// Submits a transition that is accepted, and returns its seq.
fn submit(host: &Host, room: &str, transition: &Value) -> u64 {
    let answer = host.submit(room, &transition.to_string());
    assert_eq!(answer.status, 200, "{room}, {transition}: {}", answer.text());
    answer.json()["seq"].as_u64().unwrap()
}

fn add(text: &str) -> Value {
    json!({ "Add": text })
}

/// Returns the digest of the build that a room runs.
fn build_of(host: &Host, room: &str) -> String {
    host.room(room)["digest"].as_str().unwrap().to_owned()
}

/// Returns the number of rooms of a machine for each build.
fn builds(host: &Host, machine: &str) -> Value {
    http::get(&host.url(&format!("/machines/{machine}"))).json()["builds"].clone()
}

/// Returns the texts of a room's notes, in order.
fn texts(view: &Value) -> Vec<&str> {
    view["notes"].as_array().unwrap().iter().map(|note| note["text"].as_str().unwrap()).collect()
}

/// Returns the component of a guest with the same behaviour under another digest, as if it had been built again.
fn built_anew(guest: &str, folder: &Path) -> PathBuf {
    let component = std::fs::read(guest_components::component(guest)).unwrap();
    let path = folder.join("anew.wasm");
    std::fs::write(&path, other_build(&component, 0)).unwrap();
    path
}
