//! The promises between sessions.

use std::path::Path;

use bytes::Bytes;
use reapply_sync::limits::{BATCH_BYTES_MAX, SNAPSHOT_PART_BYTES};
use reapply_sync::{
    Chain, ClientKey, ClientMessage, Digest, Event, Goodbye, HeldSnapshot, Hello, Input, Number, Resume, Seq,
    ServerMessage, Start, Welcome,
};
use reapply_testing::{Host, Message, Session, Socket, until_blocking};
use rusqlite::Connection;
use serde_json::json;
use tokio::net::TcpStream;

use super::components;
use crate::exports::succeeds;
use crate::{PROGRAM, counter_host, increment};

/// A connection to a room that has said `Hello` and was welcomed.
pub(crate) async fn connect(host: &Host, room: &str) -> Socket {
    Socket::connect(host.address(), &format!("/rooms/{room}")).await.unwrap()
}

/// Returns the goodbye of a host that accepts a WebSocket only to refuse it, and then closes it with the same reason. Nothing was sent before.
pub(crate) async fn refusal(host: &Host, room: &str, headers: &[(&'static str, &str)]) -> Goodbye {
    let stream = TcpStream::connect(host.address()).await.unwrap();
    Socket::over(stream, &format!("/rooms/{room}"), headers).await.unwrap().refusal().await
}

#[tokio::test]
async fn of_two_sessions_of_one_client_the_older_is_told_that_it_was_replaced() {
    let host = counter_host(&[]);
    let mut older = Session::join(&host, "counter/twice", 7).await;
    let mut newer = Session::join(&host, "counter/twice", 7).await;
    assert_eq!(older.welcome.participant, newer.welcome.participant);
    assert_eq!(older.goodbye().await, Goodbye::Replaced);
    newer.submit(1, increment(1)).await;
    assert_eq!(newer.events().await.len(), 1);
}

#[tokio::test]
async fn a_number_that_is_submitted_again_is_decided_once() {
    let host = counter_host(&[]);
    let mut session = Session::join(&host, "counter/again", 1).await;
    for _ in 0..3 {
        session.submit(1, increment(1)).await;
    }
    session.submit(2, increment(1)).await;
    let events = session.events_to(2).await;
    assert_eq!(events.len(), 2);

    // A later session is told about the decision as well.
    let mut later = Session::join(&host, "counter/again", 1).await;
    assert_eq!(later.welcome.decided, Number(2));
    later.submit(2, increment(1)).await;
    later.submit(3, increment(1)).await;
    later.events_to(3).await;
    assert_eq!(host.events("counter/again").len(), 3);
}

#[tokio::test]
async fn a_burst_is_decided_to_the_last_and_cuts_nobody_off() {
    let host = counter_host(&["--submits-per-second", "1000000"]);
    let mut reader = Session::join(&host, "counter/burst", 1).await;
    let mut writer = Session::join(&host, "counter/burst", 2).await;
    writer.submit_all(1, (1..=3_000).map(|_| increment(1))).await;
    // Far more than one snapshot's worth of events, and several snapshots on the way.
    for session in [&mut writer, &mut reader] {
        let (mut seqs, mut numbers) = (Vec::new(), Vec::new());
        // The first checkpoint may come after the last of them.
        while numbers.len() < 3_000 || seqs.len() == numbers.len() {
            for event in session.events().await {
                seqs.push(event.seq.0);
                if let Input::Transition { number, .. } = event.input {
                    numbers.push(number.0);
                }
            }
        }
        assert_eq!(numbers, (1..=3_000).collect::<Vec<_>>());
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    }
}

/// Returns the log's chain after `events`, which follow the snapshot that a session began with.
fn chain_after(welcome: &Welcome, events: &[Event]) -> Chain {
    let Start::Snapshot { chain, .. } = welcome.start else { panic!("{:?}", welcome.start) };
    events.iter().fold(chain, |chain, event| chain.after_event(event))
}

#[tokio::test]
async fn after_a_restore_from_a_backup_nobody_resumes_on_a_past_that_is_not_the_room_s() {
    let host = counter_host(&[]);
    let folder = tempfile::TempDir::new().unwrap();
    let (backup, data) = (folder.path().join("backup"), folder.path().join("data"));
    let mut page = Session::join(&host, "counter/restored", 1).await;
    page.submit(1, increment(1)).await;
    let mut seen = page.events_to(1).await;
    assert!(host.command("backup", &[&backup.to_string_lossy()]).status.success());
    for number in 2..=3 {
        page.submit(number, increment(100)).await;
    }
    seen.extend(page.events_to(3).await);
    let restored =
        std::process::Command::new(crate::PROGRAM).arg("restore").arg(&backup).arg("--data").arg(&data).output();
    assert!(restored.unwrap().status.success());
    let host = Host::start_program_on(std::path::Path::new(crate::PROGRAM), &data, &[]);
    let mut other = Session::join(&host, "counter/restored", 2).await;
    for number in 1..=2 {
        other.submit(number, increment(50)).await;
    }
    other.events_to(3).await;
    let Welcome { log, digest, .. } = page.welcome;
    let resume = |seq: u64| {
        let chain = chain_after(&page.welcome, &seen[..seq as usize]);
        Some(Resume { log, digest, seq: Seq(seq), chain })
    };
    let lost = Session::resume(&host, "counter/restored", 1, resume(3)).await;
    assert_eq!((lost.welcome.log, lost.welcome.head), (log, Seq(3)));
    assert!(matches!(lost.welcome.start, Start::Snapshot { .. }), "{:?}", lost.welcome.start);
    let shared = Session::resume(&host, "counter/restored", 1, resume(1)).await;
    assert_eq!(shared.welcome.start, Start::Tail, "the first event is of both pasts");
}

#[tokio::test]
async fn a_resume_gets_the_tail_and_a_stranger_gets_a_snapshot() {
    let host = counter_host(&[]);
    let mut writer = Session::join(&host, "counter/resume", 1).await;
    for number in 1..=10 {
        writer.submit(number, increment(1)).await;
    }
    let events = writer.events_to(10).await;

    let Welcome { log, digest, .. } = writer.welcome;
    let held = Some(Resume { log, digest, seq: Seq(9), chain: chain_after(&writer.welcome, &events[..9]) });
    let mut resumed = Session::resume(&host, "counter/resume", 2, held).await;
    assert_eq!((&resumed.welcome.start, resumed.welcome.head), (&Start::Tail, Seq(10)));
    let tail = resumed.events_to(10).await;
    assert_eq!(tail.iter().map(|event| event.seq.0).collect::<Vec<_>>(), [10]);

    let stranger = Session::join(&host, "counter/resume", 3).await;
    let Start::Snapshot { seq, .. } = stranger.welcome.start else { panic!("{:?}", stranger.welcome.start) };
    assert!(seq <= Seq(10));
}

#[tokio::test]
async fn signals_reach_the_others_and_leave_no_trace() {
    let host = counter_host(&[]);
    let mut speaker = Session::join(&host, "counter/signal", 1).await;
    let mut listener = Session::join(&host, "counter/signal", 2).await;
    speaker.say(&ClientMessage::Signal(Bytes::from_static(b"here"))).await;
    let signals = loop {
        match listener.next().await {
            Some(ServerMessage::Signals(signals)) => break signals,
            Some(ServerMessage::Presence(_)) => {}
            other => panic!("a signal was expected, and this came: {other:?}"),
        }
    };
    assert_eq!(signals.len(), 1);
    assert_eq!((&signals[0].body[..], &signals[0].participant), (&b"here"[..], &speaker.welcome.participant));
    assert_eq!(host.events("counter/signal").len(), 0);
}

#[tokio::test]
async fn one_who_does_not_read_delays_nobody() {
    let host = counter_host(&["--submits-per-second", "1000000"]);
    // This session is welcomed and then stops reading.
    let _deaf = Session::join(&host, "counter/deaf", 1).await;
    let mut writer = Session::join(&host, "counter/deaf", 2).await;
    // More than the socket's buffers hold, so that the host really waits for the silent one: some 6 MB.
    for number in 1..=100_000 {
        writer.submit(number, increment(1)).await;
        if number.is_multiple_of(1_000) {
            writer.events_to(number).await;
        }
    }
    // The log also holds checkpoints, so the last transitions come after that event.
    until_blocking("the room counts all", || match &host.room("counter/deaf")["view"]["count"] {
        count if *count == 100_000 => Ok(()),
        count => Err(count.to_string()),
    });
}

/// The number of bytes of each transition: nearly the maximum.
const LARGE: usize = 60 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_keeps_its_limit_however_much_waits() {
    let host = Host::start_program(Path::new(PROGRAM), &["--submits-per-second", "1000000"]);
    let component = components::roomy_echo();
    assert_eq!(host.administer("PUT", "/machines/echo", &component).status, 201);
    let mut sending = Vec::new();
    for key in 1..=4 {
        let mut session = Session::join(&host, "echo/burst", key).await;
        sending.push(tokio::spawn(async move {
            for number in (1..=100).map(Number) {
                let submit = ClientMessage::Submit { number, transition: vec![7; LARGE].into() };
                // It reads nothing, so the host may close it.
                session.send_what_is_taken(Message::Binary(submit.encode())).await;
            }
            session
        }));
    }
    for sent in sending {
        drop(sent.await.unwrap());
    }
    let journal = Connection::open(host.data().join("journal.db")).unwrap();
    let largest: i64 = journal.query_row("SELECT max(length(body)) FROM batches", [], |row| row.get(0)).unwrap();
    assert!(largest as usize <= BATCH_BYTES_MAX + 2 * LARGE, "a batch has {largest} bytes");
    assert!(largest as usize > BATCH_BYTES_MAX / 2, "nothing waited: the largest batch has {largest} bytes");
}

#[tokio::test]
async fn a_large_state_comes_in_parts_that_hold_up_no_ping_and_goes_on_where_it_broke_off() {
    let mut host = Host::start_program(Path::new(PROGRAM), &[]);
    host.deploy("todo");
    for number in 0..10 {
        let item = json!({ "label": "x".repeat(50_000), "done": false });
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let insert = json!({ "Items": { "Insert": { "id": id, "place": "Last", "item": item } } });
        assert_eq!(host.submit("todo/parts", &insert.to_string()).status, 200);
    }
    // A room that has stored its whole state before it sleeps starts newcomers from that.
    succeeds(&host.command("retain", &["todo", "--snapshot-events", "1"]));
    host.stop();
    host.restart();
    let mut whole = Vec::new();
    for kept in [0, 100_000] {
        let held = (kept > 0).then(|| HeldSnapshot { hash: Digest::of(&whole), bytes: kept });
        let mut socket = connect(&host, "todo/parts").await;
        let hello = ClientMessage::Hello(Hello { held, ..Hello::new(ClientKey([1; 16]), None) });
        socket.feed(hello.encode()).await.unwrap();
        socket.say(&ClientMessage::Ping(7)).await.unwrap();
        let Some(ServerMessage::Welcome(welcome)) = socket.next().await else { panic!("no welcome") };
        let Start::Parts(snapshot) = welcome.start else { panic!("{:?}", welcome.start) };
        assert_eq!(snapshot.from, kept / SNAPSHOT_PART_BYTES as u64 * SNAPSHOT_PART_BYTES as u64);
        whole.truncate(snapshot.from as usize);
        let mut parts_before_pong = None;
        for parts in 0.. {
            match socket.next().await {
                Some(ServerMessage::Part { at, bytes }) => {
                    assert_eq!(at, whole.len() as u64);
                    whole.extend_from_slice(&bytes);
                }
                Some(ServerMessage::Pong(7)) => parts_before_pong = Some(parts),
                Some(ServerMessage::Presence(_)) => {}
                other => panic!("a part was expected, and this came: {other:?}"),
            }
            if whole.len() as u64 == snapshot.bytes {
                break;
            }
        }
        assert!(parts_before_pong.is_some(), "the ping waits for the whole state");
        assert!(snapshot.bytes > 500_000);
        assert_eq!(Digest::of(&whole), snapshot.hash);
    }
}
