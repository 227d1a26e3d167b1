//! Refused deployments: one sentence with the cause, over HTTP and from the command line, and the old build keeps serving.

use std::path::Path;

use reapply_component::limits::COMPONENT_BYTES_MAX;
use reapply_sync::Digest;
use reapply_testing::{Host, http};

use crate::components::{self, Bad};
use crate::{PROGRAM, counter_host};

/// Deploys over HTTP, and returns the refusal.
fn refusal(host: &Host, component: &[u8]) -> (u16, String) {
    let answer = host.administer("PUT", "/machines/counter", component);
    (answer.status, answer.error().1)
}

/// Deploys by the command line, and returns the refusal: exit code 1, and one line.
fn cli_refusal(host: &Host, component: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.wasm");
    std::fs::write(&file, component).unwrap();
    let output = host.command("deploy", &[&file.to_string_lossy(), "--name", "counter"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "one sentence: {message}");
    let prefix = format!("reapply: {}: ", file.display());
    message.trim_end().strip_prefix(&prefix).unwrap_or_else(|| panic!("{message}")).to_owned()
}

/// Checks that the current build has not changed, and runs.
fn assert_still_serves(host: &Host, digest: &str) {
    assert_eq!(http::get(&host.url("/machines/counter")).json()["digest"], digest);
    let answer = host.submit("counter/still", "{\"Increment\":1}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(host.room("counter/still")["digest"], digest);
}

#[test]
fn each_bad_component_is_refused_with_its_cause_and_the_old_build_keeps_serving() {
    let host = counter_host(&[]);
    let digest = http::get(&host.url("/machines/counter")).json()["digest"].as_str().unwrap().to_owned();
    for Bad { what, bytes, cause } in components::bad() {
        let (status, message) = refusal(&host, &bytes);
        assert_eq!(status, 422, "{what}: {message}");
        assert!(message.contains(cause), "{what}: {message}");
        assert_eq!(cli_refusal(&host, &bytes), message, "{what}");
        assert_still_serves(&host, &digest);
    }
}

#[test]
fn a_component_over_the_limit_is_refused_with_its_size_and_the_limit() {
    let host = counter_host(&[]);
    let digest = http::get(&host.url("/machines/counter")).json()["digest"].as_str().unwrap().to_owned();
    let size = COMPONENT_BYTES_MAX + 1;
    let (status, message) = refusal(&host, &vec![0; size]);
    assert_eq!((status, message.as_str()), (413, "the component has 16777217 bytes; the limit is 16777216"));
    assert_eq!(cli_refusal(&host, &vec![0; size]), message);
    assert_still_serves(&host, &digest);
}

#[test]
fn a_body_of_any_size_is_answered_with_the_limit() {
    let host = counter_host(&[]);
    // Far more than the host reads at all. The sender may be cut off while it still sends.
    let huge = vec![0; 4 * COMPONENT_BYTES_MAX + 1];
    let bearer = format!("Bearer {}", host.token());
    let headers = [("authorization", bearer.as_str())];
    if let Ok(answer) = http::try_send("PUT", &host.url("/machines/counter"), &headers, Some(&huge)) {
        assert_eq!(answer.status, 413);
        assert!(answer.error().1.contains("limit"), "{}", answer.text());
    }
    // The command line checks before it sends.
    assert!(cli_refusal(&host, &huge).contains("the limit is 16777216"));
}

#[test]
fn the_address_of_a_host_needs_no_scheme() {
    let host = counter_host(&[]);
    let port = host.address().port();
    let component = guest_components::component("counter");
    for address in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}/")] {
        let output = host.command("deploy", &[&component.to_string_lossy(), "--host", &address]);
        assert!(output.status.success(), "{address}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_is_wrong_with_the_host_is_told_before_a_crate_is_built() {
    let host = Host::start_program(Path::new(PROGRAM), &["--deploy-token", "sesame"]);
    // Building this would fail, with a message of its own.
    let no_crate = tempfile::tempdir().unwrap();
    let dir = no_crate.path().to_string_lossy();
    let cases: [(&[&str], &str); 6] = [
        (&["--host", "localhost:80800"], "\"localhost:80800\" is not the address of a host: its port"),
        (&["--host", "ftp://localhost"], "its scheme is neither http nor https"),
        (&["--name", "My Counter"], "is not a name"),
        (&["--token", "open sesame"], "visible ASCII characters"),
        (&["--host", "127.0.0.1:1"], "no host answers at http://127.0.0.1:1"),
        (&["--token", "mistletoe"], "deploy token"),
    ];
    for (arguments, says) in cases {
        let output = host.command("deploy", &[&[&*dir], arguments].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(says), "{arguments:?}: {said}");
        assert!(!said.contains("Cargo.toml"), "{arguments:?}: {said}");
    }
    // If all of that is right, the command starts to build the crate.
    let output = host.command("deploy", &[&dir, "--token", "sesame"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("has no Cargo.toml"));
}

#[test]
fn a_new_build_is_for_new_rooms_and_the_old_rooms_keep_theirs() {
    let host = counter_host(&[]);
    assert_eq!(host.submit("counter/old", "{\"Increment\":1}").status, 200);
    let old = host.room("counter/old")["digest"].clone();
    let cells = std::fs::read(guest_components::component("cells")).unwrap();
    let answer = host.administer("PUT", "/machines/counter", &cells);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let new = answer.json()["digest"].clone();
    assert_eq!(new, Digest::of(&cells).to_string());
    assert_eq!(host.submit("counter/old", "{\"Increment\":1}").status, 200);
    assert_eq!(host.room("counter/old")["digest"], old);
    assert_eq!(host.submit("counter/old", "{\"Increment\":1}").json()["seq"], 3);
    assert_eq!(http::put(&host.url("/rooms/counter/new"), b"").status, 201);
    assert_eq!(host.room("counter/new")["digest"], new);
}

#[test]
fn the_command_line_says_what_is_missing() {
    let host = counter_host(&[]);
    let missing = host.command("deploy", &["no-such-file.wasm"]);
    assert_eq!(missing.status.code(), Some(1));
    let message = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(message.starts_with("reapply: cannot read no-such-file.wasm"), "{message}");

    let file = guest_components::component("counter");
    let file = file.to_string_lossy();
    let nobody = host.command("deploy", &[&file, "--host", "http://127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(1));
    let message = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(message.contains("no host answers at http://127.0.0.1:1: start one with `reapply serve`"), "{message}");

    let name = host.command("deploy", &[&file, "--name", "No Name"]);
    assert!(!name.status.success());
    assert!(String::from_utf8_lossy(&name.stderr).contains("is not a name"));

    let folder = tempfile::tempdir().unwrap();
    let empty = host.command("deploy", &[&folder.path().to_string_lossy()]);
    assert_eq!(empty.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&empty.stderr).contains("has no Cargo.toml"));
}

#[test]
fn what_was_deployed_is_there_after_a_restart() {
    let mut host = Host::start_program(Path::new(crate::PROGRAM), &[]);
    let digest = host.deploy("counter");
    host.kill_9();
    host.restart();
    let described = http::get(&host.url("/machines/counter")).json();
    assert_eq!(described["digest"], digest.as_str());
    assert_eq!(described["description"]["state_version"], 1);
    assert_still_serves(&host, &digest);
}
