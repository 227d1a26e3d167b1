//! Unknown and invalid names of machines and rooms.

use reapply_testing::{Host, http};

use reapply_sync::Goodbye;

use super::session::refusal;
use crate::counter_host;

const RULE: &str = "use 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit";

fn error(host: &Host, method: &str, path: &str, body: Option<&str>) -> (u16, String) {
    let bearer = format!("Bearer {}", host.token());
    let headers = [("authorization", bearer.as_str())];
    let answer = http::send(method, &host.url(path), &headers, body.map(str::as_bytes));
    (answer.status, answer.error().1)
}

#[test]
fn what_is_not_there_is_a_404_that_says_what() {
    let host = counter_host(&[]);
    assert_eq!(error(&host, "GET", "/machines/chess", None), (404, "there is no machine chess".to_owned()));
    let (status, message) = error(&host, "POST", "/rooms/chess/lobby", Some("\"Reset\""));
    assert_eq!(status, 404);
    assert_eq!(message, "there is no machine chess; deploy it first: reapply deploy DIR");
    assert_eq!(error(&host, "PUT", "/rooms/chess/lobby", Some("")).0, 404);

    // All requests for a missing room get the same answer.
    for question in ["", "?seq=0", "/log", "/rejections", "/past", "/export"] {
        let (status, message) = error(&host, "GET", &format!("/rooms/chess/lobby{question}"), None);
        assert_eq!(status, 404, "{question}: {message}");
        assert_eq!(message, "there is no machine chess; deploy it first: reapply deploy DIR", "{question}");
    }

    // Reading a room does not create it.
    for path in ["/rooms/counter/none", "/rooms/counter/none?seq=0", "/rooms/counter/none/log"] {
        let (status, message) = error(&host, "GET", path, None);
        assert_eq!(
            (status, message.as_str()),
            (404, "there is no room counter/none; it begins when someone connects to it")
        );
    }
    assert!(http::get(&host.url("/rooms")).json()["rooms"].as_array().unwrap().is_empty());
    assert_eq!(error(&host, "GET", "/nowhere", None).0, 404);
    assert_eq!(error(&host, "GET", "/components/0123.wasm", None).0, 404);
    let unknown = format!("/components/{}.wasm", "0".repeat(64));
    assert_eq!(error(&host, "GET", &unknown, None).0, 404);
}

#[test]
fn a_missing_page_is_a_page_for_browsers_and_json_for_others() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["--pages", &folder.path().to_string_lossy()]] {
        let host = Host::start_program(std::path::Path::new(crate::PROGRAM), arguments);
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let page = http::send("GET", &host.url("/nowhere/at-all.html"), &[("accept", browser)], None);
        assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"), "{arguments:?}");
        assert!(page.text().contains("There is nothing here") && page.text().contains("href=\"/\""), "{}", page.text());
        for accept in ["*/*", "application/json"] {
            let answer = http::send("GET", &host.url("/nowhere"), &[("accept", accept)], None);
            assert_eq!((answer.status, answer.error().0.as_str()), (404, "not-found"), "{accept}");
        }
    }
}

#[test]
fn what_is_no_name_is_a_400_with_the_rule() {
    let host = counter_host(&[]);
    let long = "a".repeat(65);
    for name in ["Lobby", "-lobby", "a%20b", "caf%C3%A9", "a.b", "%2e%2e", long.as_str()] {
        for (method, path, body) in [
            ("GET", format!("/rooms/counter/{name}"), None),
            ("GET", format!("/rooms/{name}/lobby"), None),
            ("PUT", format!("/rooms/counter/{name}"), Some("")),
            ("POST", format!("/rooms/counter/{name}"), Some("\"Reset\"")),
            ("GET", format!("/rooms/counter/{name}/log"), None),
            ("GET", format!("/machines/{name}"), None),
            ("PUT", format!("/machines/{name}"), Some("x")),
        ] {
            let (status, message) = error(&host, method, &path, body);
            assert!(status == 400 && message.contains(RULE), "{method} {path}: {status} {message}");
        }
    }
    let (status, message) = error(&host, "GET", "/rooms?machine=No", None);
    assert!(status == 400 && message.contains(RULE), "{status} {message}");
    let (status, message) = error(&host, "GET", "/rooms?after=counter", None);
    assert_eq!((status, message.as_str()), (400, "`after`: a room is written as machine/room, such as counter/lobby"));
}

#[tokio::test]
async fn sockets_get_the_same_answers_as_goodbyes() {
    let host = counter_host(&[]);
    for (room, why) in [
        ("chess/lobby", "there is no machine chess; deploy it first: reapply deploy DIR"),
        ("counter/Lobby", RULE),
        ("counter/%ff", "UTF-8"),
    ] {
        let goodbye = refusal(&host, room, &[]).await;
        let Goodbye::Refused { why: told, retry: false } = &goodbye else { panic!("{room}: {goodbye:?}") };
        assert!(told.contains(why), "{room}: {told}");
    }
}

#[test]
fn odd_queries_are_a_400_as_json() {
    let host = counter_host(&[]);
    assert_eq!(host.submit("counter/q", "\"Reset\"").status, 200);
    for path in [
        "/rooms/counter/q?seq=x",
        "/rooms/counter/q?seq=-1",
        "/rooms/counter/q/log?after=x",
        "/rooms/counter/q/log?limit=-1",
        "/rooms/counter/q/log?kinds=alarm",
    ] {
        assert_eq!(error(&host, "GET", path, None).0, 400, "{path}");
    }
}

#[test]
fn a_name_that_people_type_is_answered_with_one_that_is_like_it() {
    let host = counter_host(&[]);
    for (typed, like) in [("Lobby", "lobby"), ("Caf%C3%A9%20Noir!", "caf-noir"), ("-a.b-", "a-b")] {
        let (_, message) = error(&host, "GET", &format!("/rooms/counter/{typed}"), None);
        assert!(message.contains(RULE) && message.contains(&format!("such as \"{like}\"")), "{typed}: {message}");
    }
    let (_, message) = error(&host, "GET", "/rooms/counter/%E6%9D%B1%E4%BA%AC", None);
    assert!(message.ends_with(RULE), "{message}");
}

#[test]
fn errors_have_one_shape_whatever_is_wrong() {
    let host = counter_host(&[]);
    for (method, path, status, kind) in [
        ("GET", "/rooms/counter/%FF", 400, "bad-request"),
        ("PUT", "/machines/%FF", 400, "bad-request"),
        ("GET", "/components/%FF.wasm", 400, "bad-request"),
        ("DELETE", "/rooms/counter/lobby", 405, "method-not-allowed"),
        ("PUT", "/rooms", 405, "method-not-allowed"),
        ("POST", "/reapply.js", 405, "method-not-allowed"),
        ("POST", "/healthz", 405, "method-not-allowed"),
        ("GET", "/rooms/counter", 404, "not-found"),
        ("POST", "/nowhere", 404, "not-found"),
    ] {
        let bearer = format!("Bearer {}", host.token());
        let answer = http::send(method, &host.url(path), &[("authorization", &bearer)], Some(b""));
        assert_eq!((answer.status, answer.error().0.as_str()), (status, kind), "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/json", "{method} {path}");
    }
    let allowed = http::send("DELETE", &host.url("/rooms/counter/lobby"), &[], None);
    assert!(allowed.header("allow").contains("POST"), "{:?}", allowed.headers);
}

#[test]
fn json_that_is_more_than_a_machine_can_read_is_its_senders_fault() {
    let host = counter_host(&[]);
    let wide = format!("[{}0]", "0,".repeat(200_000));
    let deep = format!("{}0{}", "[".repeat(200_000), "]".repeat(200_000));
    for json in [wide, deep] {
        let answer = host.submit("counter/odd", &json);
        assert!([413, 422].contains(&answer.status), "{}: {}", answer.status, answer.text());
    }
    assert_eq!(host.submit("counter/odd", "\"Reset\"").status, 200);
    assert!(!host.log().contains("ERROR"), "{}", host.log());
}
