//! Machines that misbehave hurt only their own transition.

use std::path::Path;

use reapply_sync::{Number, Rejection};
use reapply_testing::{Host, http};

use crate::{PROGRAM, increment};
use reapply_testing::Session;

/// The transitions of `guests/fixtures/trap`, in its own encoding and as JSON, with the expected kinds of rejection.
const MISDEEDS: [(u8, &str, &str); 4] = [
    (1, "\"Panic\"", "trapped"),
    (2, "\"Loop\"", "exhausted"),
    (3, "\"Allocate\"", "exhausted"),
    (4, "\"Recurse\"", ""),
];

fn trap_host(arguments: &[&str]) -> Host {
    let host = Host::start_program(Path::new(PROGRAM), arguments);
    host.deploy("trap");
    host.deploy("counter");
    host
}

#[tokio::test]
async fn a_misdeed_is_rejected_and_the_room_and_all_others_go_on() {
    let host = trap_host(&[]);
    let mut culprit = Session::join(&host, "trap/room", 1).await;
    let mut witness = Session::join(&host, "trap/room", 2).await;
    let mut stranger = Session::join(&host, "counter/room", 3).await;
    for (round, (misdeed, name, kind)) in (0..).zip(MISDEEDS) {
        culprit.submit(2 * round + 1, vec![0]).await;
        culprit.submit(2 * round + 2, vec![misdeed]).await;
        let (number, why) = culprit.rejection().await;
        assert_eq!(number, Number(2 * round + 2), "{name}");
        let found = match why {
            Rejection::Trapped(_) => "trapped",
            Rejection::Exhausted(_) => "exhausted",
            other => panic!("{name}: {other:?}"),
        };
        assert!(kind.is_empty() || kind == found, "{name} was {found}");
        // Rejected: it has no effect on the state or the log.
        let seen = witness.events_to(round + 1).await;
        assert_eq!(seen.len(), 1, "{name}");
        stranger.confirm(round + 1, increment(1)).await;
    }
    assert_eq!(host.room("trap/room")["view"]["count"], MISDEEDS.len());
    assert_eq!(host.events("trap/room").len(), MISDEEDS.len());
    host.wait_for_log("trapped");
}

#[tokio::test]
async fn what_a_panic_says_and_where_reaches_the_one_who_caused_it_and_the_log() {
    let host = trap_host(&[]);
    let mut session = Session::join(&host, "trap/words", 1).await;
    session.submit(1, vec![1]).await;
    let (_, Rejection::Trapped(why)) = session.rejection().await else { panic!("it was not trapped") };
    let (place, message) = why.split_once(": ").expect("a place and a message");
    let line = place.strip_prefix("it panicked at guests/fixtures/trap/src/lib.rs:").unwrap_or_else(|| panic!("{why}"));
    assert!(line.starts_with(|digit: char| digit.is_ascii_digit()), "{why}");
    assert_eq!(message, "asked to panic");
    host.wait_for_log(&why);
}

#[tokio::test]
async fn a_transition_that_looks_like_a_report_is_not_taken_for_one() {
    let host = trap_host(&[]);
    let mut session = Session::join(&host, "trap/forged", 1).await;
    // It lies in the machine's memory when the next one panics. (Bytes after a transition are malformed, but are read.)
    let forged = [&[0][..], b"reapply:panicked\x04\0\0\0mine"].concat();
    session.submit(1, forged).await;
    let (_, Rejection::Malformed(_)) = session.rejection().await else { panic!("it was not malformed") };
    session.submit(2, vec![1]).await;
    let (_, Rejection::Trapped(why)) = session.rejection().await else { panic!("it was not trapped") };
    assert!(why.ends_with("asked to panic"), "{why}");
}

#[test]
fn over_http_a_misdeed_is_a_422() {
    let host = trap_host(&[]);
    for (_, transition, kind) in MISDEEDS {
        let answer = host.submit("trap/http", transition);
        assert_eq!(answer.status, 422, "{transition}: {}", answer.text());
        let (found, message) = answer.error();
        assert!(kind.is_empty() || found == kind, "{transition}: {found}, {message}");
        assert_eq!(host.submit("trap/http", "\"Increment\"").status, 200, "{transition}");
    }
    assert_eq!(host.room("trap/http")["view"]["count"], MISDEEDS.len());
}

#[test]
fn over_http_an_author_who_must_wait_after_misdeeds_is_told_for_how_long() {
    const TRIES_MAX: u64 = 30;
    let host = trap_host(&[]);
    let submit = |number: u64| {
        let number = number.to_string();
        let headers = [("reapply-client", "0123456789abcdef0123456789abcdef"), ("reapply-number", number.as_str())];
        http::send("POST", &host.url("/rooms/trap/http"), &headers, Some(b"\"Panic\""))
    };
    // Each misdeed doubles the wait, so soon the next one comes too early even on a slow machine.
    let waits = (1..=TRIES_MAX).map(submit).find(|answer| answer.status != 422).expect("nothing must wait");
    let (kind, message) = waits.error();
    assert_eq!((waits.status, kind.as_str()), (429, "busy"), "{message}");
    assert!(message.starts_with("the machine failed on this author's transitions"), "{message}");
    assert!(waits.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{:?}", waits.headers);
}

#[tokio::test]
async fn many_rooms_that_loop_at_once_leave_the_others_alive() {
    let host = trap_host(&[]);
    let mut stranger = Session::join(&host, "counter/calm", 1).await;
    let mut culprits = Vec::new();
    for key in 10..20 {
        let mut culprit = Session::join(&host, &format!("trap/{key}"), key).await;
        for number in 1..=5 {
            culprit.submit(number, vec![2]).await;
        }
        culprits.push(culprit);
    }
    for number in 1..=10 {
        stranger.confirm(number, increment(1)).await;
    }
    for culprit in &mut culprits {
        for number in 1..=5 {
            assert_eq!(culprit.rejection().await.0, Number(number));
        }
    }
    stranger.submit(11, increment(1)).await;
    assert_eq!(host.submit("counter/calm", "\"Reset\"").status, 200);
}
