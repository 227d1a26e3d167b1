//! Bad frames: each session gets a goodbye with the fault, and no other session notices.

use reapply_sync::limits::{CLIENT_MESSAGE_BYTES_MAX, SIGNAL_BYTES_MAX, TRANSITION_BYTES_MAX};
use reapply_sync::{ClientKey, ClientMessage, Goodbye, Hello, Number, Rejection, ServerMessage};
use reapply_testing::Host;
use tokio_tungstenite::tungstenite::Error;

use super::session::connect;
use crate::{counter_host, increment};
use reapply_testing::{Message, Session};

/// Sends a frame in a session of its own and returns the reason for its goodbye; a second session in the room continues undisturbed.
async fn goodbye_to(host: &Host, frame: Message) -> String {
    let mut witness = Session::join(host, "counter/frames", 1).await;
    let mut session = Session::join(host, "counter/frames", 2).await;
    session.send_what_is_taken(frame).await;
    let goodbye = session.goodbye().await;
    let number = witness.welcome.taken.0 + 1;
    witness.confirm(number, increment(1)).await;
    match goodbye {
        Goodbye::BadMessage(what) => what,
        other => panic!("this is no answer to a bad message: {other:?}"),
    }
}

#[tokio::test]
async fn frames_that_are_no_messages_are_answered_by_name() {
    let host = counter_host(&[]);
    let text = goodbye_to(&host, Message::text("{\"Increment\":1}")).await;
    assert_eq!(text, "this is a text frame; reapply.v2 uses binary frames");

    let empty = goodbye_to(&host, Message::binary(vec![])).await;
    assert!(empty.starts_with("the frame is not a message of reapply.v2"), "{empty}");
    let unknown = goodbye_to(&host, Message::binary(vec![48, 1, 2, 3])).await;
    assert!(unknown.starts_with("the frame is not a message of reapply.v2"), "{unknown}");
    let mut trailing = ClientMessage::Ping(1).encode().to_vec();
    trailing.push(0);
    let trailing = goodbye_to(&host, Message::binary(trailing)).await;
    assert!(trailing.contains("1 bytes follow the message"), "{trailing}");
    // A length that is larger than the data.
    let truncated = goodbye_to(&host, Message::binary(vec![1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f])).await;
    assert!(truncated.starts_with("the frame is not a message of reapply.v2"), "{truncated}");
}

#[tokio::test]
async fn a_hello_with_another_key_is_a_bad_message_and_a_session_that_was_replaced_is_told_that() {
    let host = counter_host(&[]);
    let hello = |key: u8| Message::Binary(ClientMessage::Hello(Hello::new(ClientKey([key; 16]), None)).encode());
    let told = goodbye_to(&host, hello(9)).await;
    assert!(told.contains("another key"), "{told}");

    let mut replaced = Session::join(&host, "counter/replaced", 1).await;
    let _newer = Session::join(&host, "counter/replaced", 1).await;
    replaced.send_what_is_taken(hello(9)).await;
    assert_eq!(replaced.goodbye().await, Goodbye::Replaced);
}

#[tokio::test]
async fn frames_over_a_limit_are_told_the_field_and_the_limit() {
    let host = counter_host(&[]);
    let signal = ClientMessage::Signal(vec![0; SIGNAL_BYTES_MAX + 1].into()).encode();
    assert_eq!(goodbye_to(&host, Message::Binary(signal)).await, "Signal has 1025 bytes; the limit is 1024");

    let over = CLIENT_MESSAGE_BYTES_MAX + 1;
    let message = goodbye_to(&host, Message::binary(vec![0; over])).await;
    assert_eq!(message, format!("the message has {over} bytes; the limit is {CLIENT_MESSAGE_BYTES_MAX}"));

    // For a frame that is too large to be read at all, the transport reports the size.
    let huge = goodbye_to(&host, Message::binary(vec![0; 2 * 1024 * 1024])).await;
    assert!(huge.contains("2097152") && huge.contains("1048576"), "{huge}");
}

#[tokio::test]
async fn a_transition_over_the_limit_is_rejected_by_its_number_and_the_session_goes_on() {
    let host = counter_host(&[]);
    let mut session = Session::join(&host, "counter/large", 1).await;
    session.submit(1, vec![0; TRANSITION_BYTES_MAX + 1]).await;
    let (number, why) = session.rejection().await;
    let expected =
        Rejection::TooLarge { bytes: TRANSITION_BYTES_MAX as u64 + 1, bytes_max: TRANSITION_BYTES_MAX as u64 };
    assert_eq!((number, why), (Number(1), expected));
    session.confirm(2, increment(1)).await;
    assert_eq!(host.events("counter/large").len(), 1);
}

#[tokio::test]
async fn bytes_that_are_no_transition_are_rejected_and_the_session_goes_on() {
    let host = counter_host(&[]);
    let mut session = Session::join(&host, "counter/odd", 1).await;
    for (number, bytes) in [(1, vec![]), (2, vec![9]), (3, vec![0, 1, 1]), (4, vec![0, 0xff, 0xff, 0xff, 0xff, 0xff])] {
        session.submit(number, bytes).await;
        let (rejected, why) = session.rejection().await;
        assert!(matches!(why, Rejection::Malformed(_)), "{why:?}");
        assert_eq!(rejected, Number(number));
    }
    session.confirm(5, increment(1)).await;
}

#[tokio::test]
async fn transitions_ahead_of_a_bad_frame_count_though_all_came_together() {
    let host = counter_host(&[]);
    let mut witness = Session::join(&host, "counter/together", 1).await;
    let mut socket = connect(&host, "counter/together").await;
    socket.say(&ClientMessage::Hello(Hello::new(ClientKey([2; 16]), None))).await.unwrap();
    assert!(matches!(socket.next().await, Some(ServerMessage::Welcome(_))));
    let submit = |number| ClientMessage::Submit { number: Number(number), transition: increment(1).into() };
    for frame in [submit(1).encode(), submit(2).encode(), vec![48, 1, 2, 3].into(), submit(3).encode()] {
        socket.feed(frame).await.unwrap();
    }
    socket.flush().await.unwrap();
    while let Some(message) = socket.next().await {
        if let ServerMessage::Goodbye(goodbye) = message {
            assert!(matches!(goodbye, Goodbye::BadMessage(_)), "{goodbye}");
        }
    }
    witness.submit(1, increment(1)).await;
    witness.events_to(3).await;
    assert_eq!(host.events("counter/together").len(), 3);
}

#[tokio::test]
async fn a_session_begins_with_hello() {
    let host = counter_host(&[]);
    let mut socket = connect(&host, "counter/mute").await;
    let submit = ClientMessage::Submit { number: Number(1), transition: increment(1).into() };
    socket.say(&submit).await.unwrap();
    let Some(ServerMessage::Goodbye(Goodbye::BadMessage(what))) = socket.next().await else { panic!() };
    assert_eq!(what, "the first message must be Hello");
    assert_eq!(host.events("counter/mute").len(), 0);
}

#[tokio::test]
async fn a_socket_without_the_subprotocol_is_refused() {
    let host = counter_host(&[]);
    let url = format!("ws://{}/rooms/counter/lobby", host.address());
    let Err(Error::Http(response)) = tokio_tungstenite::connect_async(url).await else { panic!("it is let in") };
    assert_eq!(response.status(), 400);
    let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
    assert!(body.contains("offer the WebSocket subprotocol reapply.v2"), "{body}");
}

#[tokio::test]
async fn noise_never_stops_the_host() {
    let host = counter_host(&[]);
    let mut witness = Session::join(&host, "counter/noise", 1).await;
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = seed | 1;
    let mut next_random = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let hello = ClientMessage::Hello(Hello::new(ClientKey([9; 16]), None)).encode().to_vec();
    for _ in 0..100 {
        let mut socket = connect(&host, "counter/noise").await;
        let mut frame =
            if next_random().is_multiple_of(2) { hello.clone() } else { vec![0; (next_random() % 40) as usize] };
        for _ in 0..next_random() % 4 {
            let place = next_random() as usize % frame.len().max(1);
            if let Some(byte) = frame.get_mut(place) {
                *byte = next_random() as u8;
            }
        }
        // The connection may close before all is sent.
        let _closed = socket.send(Message::binary(frame)).await;
        let noise: Vec<u8> = (0..next_random() % 100).map(|_| next_random() as u8).collect();
        let _closed = socket.send(Message::binary(noise)).await;
    }
    witness.confirm(1, increment(1)).await;
}
