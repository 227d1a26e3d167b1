//! Rooms used from Rust alone: no socket is opened, and no request is sent.

use std::time::Duration;

use example_embedding::open;
use reapply_host::room::{DirectMessage, Room};
use reapply_sync::{
    Author, ClientKey, Event, Goodbye, Hello, Input, Number, Reader, Rejection, RoomId, Seq, ServerMessage, SessionId,
};
use reapply_testing::DEADLINE;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// A participant in this process.
struct Participant {
    room: Room,
    session: SessionId,
    reader: Reader,
    letters: mpsc::Receiver<DirectMessage>,
}

impl Participant {
    async fn enter(room: &Room, name: &str, key: u8) -> Self {
        let (outbox, letters) = mpsc::channel(16);
        let hello = Hello::new(ClientKey([key; 16]), None);
        let entered = room.enter(hello, Author(name.into()), outbox).await.unwrap().unwrap();
        Self { room: room.clone(), session: entered.welcome.session, reader: entered.reader, letters }
    }

    async fn submit(&self, number: u64, transition: &[u8]) {
        self.room.submit(self.session, vec![(Number(number), transition.to_vec().into())]).await.unwrap();
    }

    /// Reads all events up to `seq`, once they are durable.
    async fn events_to(&mut self, seq: Seq) -> Vec<Event> {
        within(self.room.news().wait_for(|news| news.head >= seq)).await.unwrap();
        let mut events = Vec::new();
        while let Some(read) = self.reader.read(self.room.history()).unwrap() {
            for message in &*read.messages {
                match ServerMessage::decode(message).unwrap() {
                    ServerMessage::Events(more) => events.extend(more),
                    other => panic!("only events are in the history so far: {other:?}"),
                }
            }
        }
        events
    }

    async fn letter(&mut self) -> DirectMessage {
        within(self.letters.recv()).await.expect("the session goes on")
    }

    async fn message(&mut self) -> ServerMessage {
        match self.letter().await {
            DirectMessage::Frame(frame) => ServerMessage::decode(&frame).unwrap(),
            other => panic!("a message was expected, and this came: {other:?}"),
        }
    }
}

async fn within<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE.max(Duration::from_secs(1)), wait).await.expect("it comes in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_entered_used_and_left_without_a_socket() {
    let data = tempfile::tempdir().unwrap();
    let component = std::fs::read(guest_components::component("counter")).unwrap();
    let host = open(data.path(), component).await.unwrap();
    let id: RoomId = "wishes/lamp".parse().unwrap();
    let room = host.rooms().enter(&id).await.unwrap();
    let mut ada = Participant::enter(&room, "ada", 1).await;
    let mut bob = Participant::enter(&room, "bob", 2).await;

    // `Increment(5)` in the counter's own encoding; and `Decrement(9)`, which is a conflict.
    ada.submit(1, &[0, 5]).await;
    for participant in [&mut ada, &mut bob] {
        let events = participant.events_to(Seq(1)).await;
        let [Event { input: Input::Transition { author, .. }, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(*author, Author("ada".into()));
    }
    bob.submit(1, &[1, 9]).await;
    let ServerMessage::Rejected { number, why } = bob.message().await else { panic!("a rejection was expected") };
    assert_eq!((number, why), (Number(1), Rejection::Conflict("\"BelowZero\"".to_owned())));

    room.signal(ada.session, b"here"[..].into()).await.unwrap();
    let ServerMessage::Signals(signals) = bob.message().await else { panic!("a signal was expected") };
    assert_eq!(&signals[0].body[..], b"here");

    let shown = host.rooms().view(&id).await.unwrap();
    assert_eq!((shown.seq, serde_json::from_slice::<Value>(&shown.view).unwrap()), (Seq(1), json!({ "count": 5 })));

    room.leave(bob.session, 1).await;
    within(room.news().wait_for(|news| news.participants == 1)).await.unwrap();
    let stopping = host.clone();
    let stopped = tokio::spawn(async move { stopping.stop().await });
    let goodbye = ada.letter().await;
    assert!(matches!(goodbye, DirectMessage::Goodbye(Goodbye::ShuttingDown)), "{goodbye:?}");
    stopped.await.unwrap();
}
