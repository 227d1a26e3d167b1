//! A room's life: sleep, waking, the end of the host, and a crash.

use std::path::Path;

use reapply_sync::Goodbye;
use reapply_testing::{Host, http, until_blocking};
use serde_json::Value;

use crate::{PROGRAM, counter_host, increment};
use reapply_testing::Session;

/// Starts a host whose log reports sleep.
fn sleepy_host() -> Host {
    counter_host(&["--sleep-after", "100ms"])
}

/// Waits until the room is asleep, with a log up to `seq` or further.
pub(crate) fn wait_for_sleep(host: &Host, room: &str, seq: u64) {
    until_blocking("the room falls asleep", || {
        let listed = listed(host, room);
        let is_asleep = listed["awake"] == false && listed["seq"].as_u64() >= Some(seq);
        if is_asleep { Ok(()) } else { Err(listed.to_string()) }
    });
}

/// Returns a room's entry in the list of all rooms; null if there is none.
pub(crate) fn listed(host: &Host, room: &str) -> Value {
    let rooms = http::get(&host.url("/rooms")).json()["rooms"].clone();
    rooms.as_array().unwrap().iter().find(|listed| listed["room"] == room).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_room_sleeps_when_nobody_uses_it_and_wakes_with_its_state() {
    let host = sleepy_host();
    let mut session = Session::join(&host, "counter/nap", 1).await;
    session.submit(1, increment(3)).await;
    session.submit(1, increment(3)).await;
    assert_eq!(session.events().await.len(), 1);
    drop(session);
    wait_for_sleep(&host, "nap", 1);
    // Reading or entering the room wakes it, and earlier decisions remain.
    assert_eq!(host.room("counter/nap")["view"]["count"], 3);
    let mut session = Session::join(&host, "counter/nap", 1).await;
    assert_eq!(session.welcome.decided.0, 1);
    session.submit(1, increment(3)).await;
    session.submit(2, increment(4)).await;
    assert_eq!(session.events_to(2).await.len(), 2);
    drop(session);
    wait_for_sleep(&host, "nap", 2);
    assert_eq!(host.room("counter/nap")["view"]["count"], 7);
}

#[tokio::test]
async fn rooms_that_fall_asleep_under_use_lose_nothing() {
    let host = counter_host(&["--sleep-after", "10ms"]);
    for by in 1..=200_u64 {
        let answer = host.submit("counter/restless", "{\"Increment\":1}");
        assert_eq!((answer.status, answer.json()["seq"].as_u64()), (200, Some(by)), "{}", answer.text());
    }
    assert_eq!(host.room("counter/restless")["view"]["count"], 200);
}

#[tokio::test]
async fn a_host_that_is_told_to_stop_says_goodbye_and_keeps_all_it_acknowledged() {
    let mut host = counter_host(&[]);
    let mut first = Session::join(&host, "counter/end", 1).await;
    let mut second = Session::join(&host, "counter/other", 2).await;
    let mut acknowledged = 0;
    for number in 1..=100 {
        first.submit(number, increment(1)).await;
    }
    while acknowledged < 50 {
        acknowledged = first.events().await.last().unwrap().seq.0;
    }
    host.terminate();
    // Transitions that the room had accepted are reported before the goodbye.
    let goodbye = loop {
        match first.next().await {
            Some(reapply_sync::ServerMessage::Events(events)) => acknowledged = events.last().unwrap().seq.0,
            Some(reapply_sync::ServerMessage::Goodbye(goodbye)) => break goodbye,
            Some(_) => {}
            None => panic!("the connection was closed without a goodbye"),
        }
    };
    assert_eq!(goodbye, Goodbye::ShuttingDown);
    assert_eq!(second.goodbye().await, Goodbye::ShuttingDown);
    let status = host.wait_for_end();
    assert_eq!(status.code(), Some(0), "{}", host.log());
    host.restart();
    let count = host.room("counter/end")["view"]["count"].as_u64().unwrap();
    assert!(count >= acknowledged, "{acknowledged} were acknowledged, and {count} are there");
    assert_eq!(host.events("counter/end").len() as u64, count);
}

#[test]
fn every_answer_before_a_kill_9_is_in_the_log() {
    let mut host = counter_host(&[]);
    for round in 0..3 {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let url = host.url(&format!("/rooms/counter/kill-{writer}"));
                std::thread::spawn(move || {
                    let submit = || http::try_send("POST", &url, &[], Some(b"{\"Increment\":1}"));
                    let mut last = 0;
                    while let Ok(answer) = submit() {
                        if answer.status != 200 {
                            break;
                        }
                        last = answer.json()["seq"].as_u64().unwrap();
                    }
                    last
                })
            })
            .collect();
        until_blocking("there are events", || {
            match http::get(&host.url("/rooms/counter/kill-3")).json()["seq"].as_u64() {
                Some(seq) if seq >= 20 * (round + 1) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        host.kill_9();
        let told: Vec<u64> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        host.restart();
        for (writer, told) in told.into_iter().enumerate() {
            let room = format!("counter/kill-{writer}");
            let events = host.events(&room);
            let (head, count) = (events.len() as u64, host.room(&room)["view"]["count"].as_u64().unwrap());
            assert!(told <= head, "{room}: {told} were acknowledged, and {head} are there");
            assert_eq!(count, head, "{room}");
            let seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
            assert_eq!(seqs, (1..=head).collect::<Vec<_>>(), "{room}");
        }
    }
}

#[test]
fn interrupted_hosts_stop_as_well() {
    let mut host = Host::start_program(Path::new(PROGRAM), &[]);
    host.signal("INT");
    assert_eq!(host.wait_for_end().code(), Some(0));
}
