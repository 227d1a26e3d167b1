//! Who may deploy, and whose pages may use the host.

use std::path::Path;

use reapply_e2e::{Host, http};

use crate::{PROGRAM, counter_host};

fn deploy(host: &Host, headers: &[(&str, &str)]) -> http::Answer {
    let counter = std::fs::read(guest_components::component("counter")).unwrap();
    http::send("PUT", &host.url("/machines/counter"), headers, Some(&counter))
}

#[test]
fn a_host_with_a_token_asks_every_deployment_for_it() {
    let host = Host::start_program(Path::new(PROGRAM), &["--deploy-token", "correct horse"]);
    let without = deploy(&host, &[]);
    assert_eq!((without.status, without.error().0.as_str()), (401, "unauthorized"));
    assert!(without.error().1.contains("REAPPLY_DEPLOY_TOKEN"), "{}", without.text());
    for wrong in ["Bearer wrong", "Bearer correct horse ", "correct horse", "Basic correct horse"] {
        // A trailing space is no part of a header's value.
        let expected = if wrong == "Bearer correct horse " { 201 } else { 401 };
        assert_eq!(deploy(&host, &[("authorization", wrong)]).status, expected, "{wrong}");
    }
    assert_eq!(deploy(&host, &[("authorization", "Bearer correct horse")]).status, 201);

    let file = guest_components::component("counter");
    let file = file.to_string_lossy();
    let refused = host.command("deploy", &[&file]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--token"), "{refused:?}");
    let deployed = host.command("deploy", &[&file, "--token", "correct horse"]);
    assert!(deployed.status.success(), "{deployed:?}");
    assert!(!host.log().contains("correct horse"), "the log shows the token");
}

#[test]
fn without_a_token_only_local_names_deploy() {
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    // A page of another site may reach this address by a name of its own.
    let rebound = deploy(&host, &[("host", "evil.example")]);
    assert_eq!((rebound.status, rebound.error().0.as_str()), (403, "forbidden"));
    assert_eq!(deploy(&host, &[("host", &format!("localhost:{}", host.address().port()))]).status, 201);
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
        assert_eq!(http::send("PUT", &host.url("/machines/counter"), &[("origin", origin)], Some(b"")).status, 403);
        assert_eq!(http::send("GET", &host.url("/rooms"), &[("origin", origin)], None).status, 403);
    }
    for origin in ["https://app.example", own.as_str()] {
        let allowed = post(origin);
        assert_eq!(allowed.status, 200, "{origin}: {}", allowed.text());
        assert_eq!(allowed.header("access-control-allow-origin"), origin);
        assert_eq!(allowed.header("vary").to_lowercase(), "origin");
    }
    let preflight = http::send(
        "OPTIONS",
        &url,
        &[("origin", "https://app.example"), ("access-control-request-method", "POST")],
        None,
    );
    assert_eq!(preflight.status, 204);
    assert!(preflight.header("access-control-allow-headers").contains("reapply-client"));

    // What everyone may run, everyone may fetch.
    let digest = http::get(&host.url("/machines/counter")).json()["digest"].as_str().unwrap().to_owned();
    let component = host.url(&format!("/components/{digest}.wasm"));
    assert_eq!(http::send("GET", &component, &[("origin", "https://evil.example")], None).status, 200);
    assert_eq!(http::send("GET", &host.url("/reapply.js"), &[("origin", "https://evil.example")], None).status, 200);
}

#[tokio::test]
async fn sockets_from_other_origins_are_refused() {
    use tokio_tungstenite::tungstenite::{Error, client::IntoClientRequest};

    let host = counter_host(&[]);
    let mut request = format!("ws://{}/rooms/counter/cross", host.address()).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", reapply_sync::SUBPROTOCOL.parse().unwrap());
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    let Err(Error::Http(response)) = tokio_tungstenite::connect_async(request).await else { panic!("it is let in") };
    assert_eq!(response.status(), 403);
}
