//! The log as an audit trail: filtered, as a table, followed live, by HTTP and by `reapply log`.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use reapply_sync::ClientKey;
use reapply_testing::{Host, http};
use serde_json::{Value, json};

use super::life::wait_for_sleep;
use crate::{PROGRAM, counter_host, increment};
use reapply_testing::Session;

/// Returns the author of a session with this key.
fn author(key: u8) -> String {
    ClientKey([key; 16]).client_id().anonymous_author().to_string()
}

/// Submits as the client with this key.
fn submit_as(host: &Host, room: &str, key: u8, number: u64, transition: &str) -> Value {
    let (key, number) = (format!("{key:02x}").repeat(16), number.to_string());
    let headers = [("reapply-client", key.as_str()), ("reapply-number", number.as_str())];
    let answer = http::send("POST", &host.url(&format!("/rooms/{room}")), &headers, Some(transition.as_bytes()));
    assert_eq!(answer.status, 200, "{transition}: {}", answer.text());
    answer.json()
}

/// Returns the seqs of a query of the room's log.
fn seqs(host: &Host, room: &str, query: &str) -> Vec<u64> {
    let answer = http::get(&host.url(&format!("/rooms/{room}/log?{query}")));
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json_lines().iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

#[test]
fn the_log_is_filtered_by_author_time_and_kind() {
    let host = counter_host(&[]);
    let mut times = Vec::new();
    for (key, number, transition) in
        [(1, 1, "{\"Increment\":5}"), (2, 1, "{\"Decrement\":1}"), (1, 2, "\"Reset\""), (2, 2, "{\"Increment\":1}")]
    {
        times.push(submit_as(&host, "counter/who", key, number, transition)["time"].as_str().unwrap().to_owned());
    }
    let (ann, bob) = (author(1), author(2));
    for (query, expected) in [
        (format!("author={ann}"), vec![1, 3]),
        (format!("author={ann}&author={bob}"), vec![1, 2, 3, 4]),
        ("author=nobody".to_owned(), vec![]),
        ("kind=transition:Increment".to_owned(), vec![1, 4]),
        ("kind=transition:Increment&kind=transition:Reset".to_owned(), vec![1, 3, 4]),
        ("kind=alarm".to_owned(), vec![]),
        ("kind=transition&kind=alarm".to_owned(), vec![1, 2, 3, 4]),
        (format!("kind=transition:Increment&author={bob}"), vec![4]),
        (format!("from={}", times[1]), vec![2, 3, 4]),
        (format!("to={}", times[1]), vec![1]),
        (format!("from={}&to={}", times[1], times[3]), vec![2, 3]),
        ("to=2000-01-01".to_owned(), vec![]),
        ("from=2000-01-01&kind=transition:Increment&after=1".to_owned(), vec![4]),
        ("kind=transition:Increment&limit=1".to_owned(), vec![1]),
    ] {
        assert_eq!(seqs(&host, "counter/who", &query), expected, "{query}");
    }
}

#[test]
fn the_log_as_csv_has_a_header_and_quotes_what_has_commas() {
    let host = counter_host(&[]);
    submit_as(&host, "counter/table", 1, 1, "{\"Increment\":5}");
    submit_as(&host, "counter/table", 1, 2, "\"Reset\"");
    let answer = http::get(&host.url("/rooms/counter/table/log?format=csv&kind=transition:Increment"));
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    let mut table = csv::Reader::from_reader(&answer.body[..]);
    let names = table.headers().unwrap().clone();
    let columns = ["seq", "kind", "author", "number", "transition", "digest"]
        .map(|name| names.iter().position(|header| header == name).unwrap());
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1);
    let row = columns.map(|column| rows[0][column].to_owned());
    assert_eq!(
        row,
        ["1".to_owned(), "transition".into(), author(1), "1".into(), "{\"Increment\":5}".into(), String::new()]
    );
}

#[tokio::test]
async fn a_log_without_a_limit_is_sent_whole() {
    let host = counter_host(&["--submits-per-second", "1000000"]);
    let mut writer = Session::join(&host, "counter/long", 1).await;
    for number in 1..=12_000 {
        writer.submit(number, increment(1)).await;
        if number.is_multiple_of(1_000) {
            writer.events_to(number).await;
        }
    }
    // With the checkpoints in between there are even more.
    let all = seqs(&host, "counter/long", "");
    assert!(all.len() > 12_000 && all.iter().copied().eq(1..=all.len() as u64), "{}", all.len());
    assert!(seqs(&host, "counter/long", "after=11&limit=11000").into_iter().eq(12..=11_011));
    // Compressed it is the same.
    let packed = http::send("GET", &host.url("/rooms/counter/long/log"), &[("accept-encoding", "gzip")], None);
    assert_eq!(packed.header("content-encoding"), "gzip");
}

/// `reapply log --follow`, which runs until it is dropped.
struct Followed {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Followed {
    fn start(host: &Host, arguments: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["log", "--follow"]).args(arguments).env("REAPPLY_HOST", host.url("")).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    fn next(&mut self) -> Option<String> {
        self.lines.next().map(Result::unwrap)
    }

    fn next_event(&mut self) -> Value {
        serde_json::from_str(&self.next().expect("another event")).unwrap()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

#[test]
fn a_log_is_followed_through_sleep_to_the_end_of_the_host() {
    let mut host = counter_host(&["--sleep-after", "100ms"]);
    submit_as(&host, "counter/live", 1, 1, "{\"Increment\":1}");
    let mut followed = Followed::start(&host, &["counter/live"]);
    assert_eq!(followed.next_event()["seq"], 1);
    for number in 2..5 {
        // A follower does not keep the room awake, and misses nothing when it wakes.
        wait_for_sleep(&host, "live", number - 1);
        submit_as(&host, "counter/live", 1, number, "{\"Increment\":1}");
        assert_eq!(followed.next_event()["seq"], number);
    }
    assert!(host.stop().success());
    assert_eq!(followed.next(), None);
    assert!(followed.process.wait().unwrap().success());
}

#[test]
fn a_follower_gets_what_it_filters_for_and_as_many_as_it_asks_for() {
    let host = counter_host(&[]);
    submit_as(&host, "counter/some", 1, 1, "{\"Increment\":1}");
    let mut followed =
        Followed::start(&host, &["counter/some", "--kind", "transition:Reset", "--limit", "2", "--format", "csv"]);
    assert!(followed.next().unwrap().starts_with("seq,time,kind,author,"));
    for (number, transition) in [(2, "\"Reset\""), (3, "{\"Increment\":1}"), (4, "\"Reset\""), (5, "\"Reset\"")] {
        submit_as(&host, "counter/some", 1, number, transition);
    }
    let got: Vec<String> = std::iter::from_fn(|| followed.next()).collect();
    assert_eq!(got.len(), 2, "{got:?}");
    assert!(got[0].starts_with("2,") && got[1].starts_with("4,"), "{got:?}");
    assert!(followed.process.wait().unwrap().success());
}

/// Returns the error of a command that fails: one line.
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    assert!(said.starts_with("reapply: ") && said.lines().count() == 1, "{said}");
    said
}

#[test]
fn the_command_prints_the_log_and_says_what_is_wrong_in_one_line() {
    let host = counter_host(&[]);
    submit_as(&host, "counter/cli", 1, 1, "{\"Increment\":1}");
    submit_as(&host, "counter/cli", 2, 1, "\"Reset\"");
    let output = host.command("log", &["counter/cli", "--author", &author(2)]);
    assert!(output.status.success(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&printed["seq"], &printed["transition"]), (&json!(2), &json!("Reset")));

    for (arguments, says) in [
        (&["counter/none"][..], "there is no room counter/none"),
        (&["nosuch/x"][..], "there is no machine nosuch; deploy it first"),
        (&["nosuch/x", "--rejections"][..], "there is no machine nosuch; deploy it first"),
        (&["counter"][..], "\"counter\" is not a room: a room is written as machine/room, such as counter/lobby"),
        (&["counter/Lobby"][..], "is not a name"),
        (&["counter/cli", "--from", "yesterday"][..], "from: \"yesterday\" is not a time"),
        (&["counter/cli", "--kind", "increment"][..], "\"increment\" is not a kind of event"),
        (&["counter/cli", "--format", "xml"][..], "\"xml\" is not a format"),
        (&["counter/cli", "--after", "-"][..], "after: \"-\" is not a whole number"),
        (&["counter/cli", "--host", "http://127.0.0.1:1"][..], "no host answers at http://127.0.0.1:1"),
    ] {
        let said = refusal(&host.command("log", arguments));
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn rejections_are_counted_by_author_and_kind_and_outlive_sleep_and_the_host() {
    let mut host = counter_host(&["--sleep-after", "100ms"]);
    let mut session = Session::join(&host, "counter/no", 7).await;
    session.submit(1, increment(1)).await;
    // A conflict below zero, nonsense, and the first one again, which is not counted again.
    for (number, transition) in [(2, vec![1, 9]), (3, vec![1, 9]), (4, vec![9]), (2, vec![1, 9])] {
        session.submit(number, transition).await;
        session.rejection().await;
    }
    let own = author(7);
    let counts = |host: &Host| -> Vec<(String, String, u64)> {
        let answer = http::get(&host.url("/rooms/counter/no/rejections"));
        assert_eq!(answer.header("content-type"), "application/x-ndjson");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let lines = answer.json_lines();
        lines.iter().map(|line| (text(&line["author"]), text(&line["kind"]), line["count"].as_u64().unwrap())).collect()
    };
    let expected = vec![(own.clone(), "conflict".to_owned(), 2), (own.clone(), "malformed".to_owned(), 1)];
    assert_eq!(counts(&host), expected, "a request counts all rejections so far");
    drop(session);
    wait_for_sleep(&host, "no", 1);
    assert_eq!(counts(&host), expected);
    // Requests that do not reach the room count as well: nonsense over HTTP.
    let key = "07".repeat(16);
    let headers = [("reapply-client", key.as_str()), ("reapply-number", "9")];
    let url = host.url("/rooms/counter/no");
    assert_eq!(http::send("POST", &url, &headers, Some(b"nonsense")).status, 422);
    let expected = vec![(own.clone(), "conflict".to_owned(), 2), (own, "malformed".to_owned(), 2)];
    assert_eq!(counts(&host), expected);
    host.kill_9();
    host.restart();
    assert_eq!(counts(&host), expected);
    assert_eq!(host.events("counter/no").len(), 1, "the log knows nothing of them");

    let table = host.command("log", &["counter/no", "--rejections", "--format", "csv"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.starts_with("author,kind,count,last\n") && table.contains(",conflict,2,20"), "{table}");
    let refused = refusal(&host.command("log", &["counter/none", "--rejections"]));
    assert!(refused.contains("there is no room counter/none"), "{refused}");
}

/// An index says in which parts of a log an author has events. It is derived from the log. If it is wrong, no event is hidden.
#[tokio::test]
async fn an_authors_events_are_found_whatever_the_index_says() {
    let mut host = counter_host(&["--submits-per-second", "1000000"]);
    let room = "counter/long";
    let mut much = Session::join(&host, room, 1).await;
    for number in 1..=3_000 {
        much.submit(number, increment(1)).await;
        if number == 1_500 {
            much.events_to(1_500).await;
            submit_as(&host, room, 2, 1, "\"Reset\"");
        }
    }
    much.events_to(3_001).await;
    drop(much);
    let everything = host.events(room);
    let by = |key: u8| -> Vec<u64> {
        let theirs = everything.iter().filter(|event| event["author"] == author(key).as_str());
        theirs.map(|event| event["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(by(2).len(), 1);
    let mut first = [by(1), by(2)].concat();
    first.sort_unstable();
    first.truncate(1_600);
    let damages = [
        "SELECT 1",
        "DELETE FROM authors WHERE segment = 1",
        "UPDATE authors SET hashes = x''",
        "DELETE FROM authors; DROP TABLE authors; PRAGMA user_version = 5",
    ];
    for sql in damages {
        assert!(host.stop().success());
        let connection = rusqlite::Connection::open(host.data().join("journal.db")).unwrap();
        let rows: i64 = connection.query_row("SELECT count(*) FROM authors", [], |row| row.get(0)).unwrap();
        assert!(rows >= 2, "{rows} rows");
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
        host.restart();
        for round in ["at once", "after a scrub"] {
            for key in [1, 2, 3] {
                assert_eq!(seqs(&host, room, &format!("author={}", author(key))), by(key), "{sql}, {round}");
            }
            assert_eq!(seqs(&host, room, &format!("author={}&after={}", author(2), by(2)[0])), [] as [u64; 0], "{sql}");
            let both = seqs(&host, room, &format!("author={}&author={}&limit=1600", author(1), author(2)));
            assert_eq!(both, first, "{sql}, {round}");
            assert!(host.command("scrub", &[]).status.success());
        }
    }
}
