//! The rights to administer a host, and the pages that may use it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use reapply_sync::{Goodbye, SUBPROTOCOL};
use reapply_testing::{Host, http};

use super::session::refusal;
use crate::{PROGRAM, counter_host};
use reapply_testing::Session;

fn counter() -> Vec<u8> {
    fs::read(guest_components::component("counter")).unwrap()
}

/// Returns every administering request, as method, path and body.
fn administration() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("POST", "/machines", counter()),
        ("PUT", "/machines/counter", counter()),
        ("PUT", "/machines/counter/retention", b"{}".to_vec()),
        ("POST", "/machines/counter/upgrade", b"".to_vec()),
        ("POST", "/rooms/counter/lobby/upgrade", b"".to_vec()),
        ("POST", "/rooms/counter/lobby/import", b"".to_vec()),
        ("POST", "/rooms/counter/lobby/fork", b"{\"to\":\"counter/other\"}".to_vec()),
        ("GET", "/backup", b"".to_vec()),
    ]
}

/// Checks that every administering request is refused, even from this machine.
fn assert_closed(host: &Host, headers: &[(&str, &str)]) {
    for (method, path, body) in administration() {
        let body = (method != "GET").then_some(&body[..]);
        let answer = http::send(method, &host.url(path), headers, body);
        assert_eq!((answer.status, answer.error().0.as_str()), (401, "unauthorized"), "{method} {path}");
        let (_, message) = answer.error();
        for remedy in ["REAPPLY_DEPLOY_TOKEN", "--token", "--data"] {
            assert!(message.contains(remedy), "{message}");
        }
    }
}

#[test]
fn being_on_the_same_machine_is_not_a_right() {
    let mut host = Host::start_program(Path::new(PROGRAM), &[]);
    // The names that a proxy on this machine, or a page with a rebound name, may use.
    let local = format!("localhost:{}", host.address().port());
    for name in ["127.0.0.1", local.as_str(), "app.example", ""] {
        assert_closed(&host, &[("host", name)]);
        assert_closed(&host, &[("host", name), ("x-forwarded-for", "127.0.0.1"), ("authorization", "Bearer ")]);
    }
    let token = host.token();
    assert_eq!(host.administer("PUT", "/machines/counter", &counter()).status, 201);
    // The secret does not change.
    assert!(host.stop().success());
    host.restart();
    assert_eq!(host.token(), token);
    assert_eq!(host.administer("PUT", "/machines/counter", &counter()).status, 201);
}

#[test]
fn a_host_that_is_given_a_token_asks_for_that_one() {
    let host = Host::start_program(Path::new(PROGRAM), &["--deploy-token", "correct-horse"]);
    assert_closed(&host, &[]);
    for wrong in ["Bearer wrong", "correct-horse", "Basic correct-horse"] {
        assert_closed(&host, &[("authorization", wrong)]);
    }
    assert!(!host.data().join("deploy-token").exists(), "it has made another one");
    for right in ["Bearer correct-horse", "bearer correct-horse"] {
        let right = [("authorization", right)];
        assert_eq!(http::send("PUT", &host.url("/machines/counter"), &right, Some(&counter())).status, 201);
    }

    let file = guest_components::component("counter");
    let file = file.to_string_lossy();
    let refused = host.command("deploy", &[&file]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--token"), "{refused:?}");
    let deployed = host.command("deploy", &[&file, "--token", "correct-horse"]);
    assert!(deployed.status.success(), "{deployed:?}");
}

/// Runs `reapply` as the user whose home is `home`.
fn run_at_home(home: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(PROGRAM);
    for setting in ["REAPPLY_DATA", "REAPPLY_DEPLOY_TOKEN", "REAPPLY_HOST", "XDG_STATE_HOME"] {
        command.env_remove(setting);
    }
    let output = command.env("HOME", home).args(arguments).stdin(Stdio::null()).output().unwrap();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn commands_of_the_same_user_find_the_token_by_the_address() {
    let home = tempfile::tempdir().unwrap();
    let environment = [("HOME".to_owned(), text(home.path().as_os_str().as_encoded_bytes()))];
    let mut host = Host::start_program_in(Path::new(PROGRAM), &std::env::temp_dir(), &[], &environment);
    let file = text(guest_components::component("counter").as_os_str().as_encoded_bytes());
    let (numeric, named) = (host.url(""), format!("http://localhost:{}", host.address().port()));
    for url in [numeric.as_str(), &named] {
        run_at_home(home.path(), &["deploy", &file, "--host", url]).unwrap();
    }
    // Another user finds nothing, unless they can read the data.
    let stranger = tempfile::tempdir().unwrap();
    let refused = run_at_home(stranger.path(), &["deploy", &file, "--host", &numeric]).unwrap_err();
    assert!(refused.contains("needs the host's deploy token"), "{refused}");
    let data = text(host.data().as_os_str().as_encoded_bytes());
    run_at_home(stranger.path(), &["deploy", &file, "--host", &numeric, "--data", &data]).unwrap();

    // A host that crashed leaves its note. A later listener at that address must not get the token.
    host.kill_9();
    let listener = std::net::TcpListener::bind(host.address()).unwrap();
    let asked = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut connection, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            connection.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").unwrap();
        text(&head).to_lowercase()
    });
    let _answer = run_at_home(home.path(), &["log", "counter/lobby", "--host", &numeric]);
    let head = asked.join().unwrap();
    assert!(head.starts_with("get /rooms/counter/lobby/log") && !head.contains("authorization"), "{head}");
}

#[test]
fn the_token_is_in_no_output() {
    let mut host = Host::start_program_in(
        Path::new(PROGRAM),
        &std::env::temp_dir(),
        &[],
        &[("REAPPLY_LOG".to_owned(), "trace".to_owned())],
    );
    let token = host.token();
    assert_eq!(token.len(), 64);
    let mut said = Vec::new();
    let file = text(guest_components::component("counter").as_os_str().as_encoded_bytes());
    for (command, arguments) in [
        ("deploy", vec![file.as_str()]),
        ("log", vec!["counter/lobby"]),
        ("upgrade", vec!["counter"]),
        ("retain", vec!["counter", "--trim"]),
        ("deploy", vec!["--help"]),
        ("deploy", vec![file.as_str(), "--host", "http://127.0.0.1:1"]),
    ] {
        let output = host.command(command, &arguments);
        said.extend([text(&output.stdout), text(&output.stderr)]);
    }
    for path in ["/", "/rooms", "/machines", "/healthz", "/nowhere", "/deploy-token", "/backup"] {
        said.push(http::get(&host.url(path)).text());
    }
    assert_closed(&host, &[]);
    assert_eq!(host.submit("counter/lobby", "\"Reset\"").status, 200);
    said.push(text(&http::get(&host.url("/rooms/counter/lobby/export")).body));
    assert!(host.stop().success());
    said.push(host.log());
    for said in said {
        assert!(!said.contains(&token), "{said}");
    }
    // The content of a wrong file is not shown either, since it may be a secret.
    fs::write(host.data().join("deploy-token"), "half-a-secret").unwrap();
    let refused = host.try_restart().unwrap_err();
    assert!(refused.message.contains("does not hold a deploy token"), "{}", refused.message);
    assert!(!refused.message.contains("half-a-secret"), "{}", refused.message);
}

#[test]
fn pages_of_other_origins_need_to_be_allowed() {
    let host = counter_host(&["--allow-origin", "https://app.example"]);
    let url = host.url("/rooms/counter/cross");
    let own = format!("http://{}", host.address());
    let post = |origin: &str| http::send("POST", &url, &[("origin", origin)], Some(b"\"Reset\""));

    for origin in ["https://evil.example", "null", "http://app.example", "https://app.example.evil.example"] {
        let refused = post(origin);
        assert_eq!(refused.status, 403, "{origin}");
        assert!(refused.error().1.contains(&format!("--allow-origin {origin}")), "{}", refused.text());
        // The page itself can read the reason.
        assert_eq!(refused.header("access-control-allow-origin"), origin);
        assert_eq!(http::send("PUT", &host.url("/machines/counter"), &[("origin", origin)], Some(b"")).status, 403);
        assert_eq!(http::send("GET", &host.url("/rooms"), &[("origin", origin)], None).status, 403);
    }
    assert_eq!(http::get(&url).status, 404, "a page that was refused has begun a room");
    for origin in ["https://app.example", own.as_str()] {
        let allowed = post(origin);
        assert_eq!(allowed.status, 200, "{origin}: {}", allowed.text());
        assert_eq!(allowed.header("access-control-allow-origin"), origin);
        assert_eq!(allowed.header("vary").to_lowercase(), "origin");
    }
    // A preflight succeeds for everyone; otherwise nobody could read the refusal that follows.
    for origin in ["https://app.example", "https://evil.example"] {
        let asking = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = http::send("OPTIONS", &url, &asking, None);
        assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (200, origin));
        assert!(preflight.header("access-control-allow-headers").contains("reapply-client"));
    }

    // Everyone may fetch components, since everyone may run them.
    let digest = http::get(&host.url("/machines/counter")).json()["digest"].as_str().unwrap().to_owned();
    let component = host.url(&format!("/components/{digest}.wasm"));
    assert_eq!(http::send("GET", &component, &[("origin", "https://evil.example")], None).status, 200);
    assert_eq!(http::send("GET", &host.url("/reapply.js"), &[("origin", "https://evil.example")], None).status, 200);
}

#[tokio::test]
async fn sockets_from_other_origins_hear_why_they_are_refused() {
    let host = counter_host(&["--allow-origin", "https://app.example"]);
    let goodbye = refusal(&host, "counter/cross", &[("origin", "https://evil.example")]).await;
    let Goodbye::Refused { why, retry: true } = &goodbye else { panic!("{goodbye:?}") };
    let address = host.address().to_string();
    for part in ["pages of https://evil.example may not use this host", &address, "--allow-origin https://evil.example"]
    {
        assert!(why.contains(part), "{why}");
    }
    host.wait_for_log("a page was refused");
    assert!(host.log().contains("https://evil.example"), "{}", host.log());
    assert_eq!(http::get(&host.url("/rooms/counter/cross")).status, 404, "it has begun a room");
    Session::join(&host, "counter/cross", 1).await;
}

#[tokio::test]
async fn a_client_of_another_version_hears_why_it_is_refused() {
    let host = counter_host(&[]);
    let goodbye = refusal(&host, "counter/lobby", &[("sec-websocket-protocol", "chat, reapply.v0")]).await;
    let Goodbye::Refused { why, retry: false } = &goodbye else { panic!("{goodbye:?}") };
    assert_eq!(why, &format!("this host speaks {SUBPROTOCOL}, and this client reapply.v0: reload the page"));
}

#[test]
fn what_is_not_an_origin_is_not_allowed() {
    let data = tempfile::tempdir().unwrap();
    let refused = Host::refusal(Path::new(PROGRAM), data.path(), &["--allow-origin", "app.example"]);
    assert!(refused.message.contains("is not an origin"), "{}", refused.message);
}
