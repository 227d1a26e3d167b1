//! A participant that keeps no state: it says what a test tells it to, and passes on what comes.

use reapply_sync::{
    ClientKey, ClientMessage, Event, Goodbye, Hello, Input, Number, Rejection, Resume, ServerMessage, Welcome,
};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::{Host, Socket};

/// A connection to a room that has said `Hello` and was welcomed.
#[derive(Debug)]
pub struct Session {
    socket: Socket,
    /// The host's answer to the `Hello`.
    pub welcome: Welcome,
}

impl Session {
    /// Joins a room such as `counter/lobby`.
    ///
    /// # Panics
    ///
    /// The host does not welcome the client.
    pub async fn join(host: &Host, room: &str, key: u8) -> Self {
        Self::resume(host, room, key, None).await
    }

    /// Joins a room with a state in hand.
    ///
    /// # Panics
    ///
    /// The host does not welcome the client.
    pub async fn resume(host: &Host, room: &str, key: u8, resume: Option<Resume>) -> Self {
        let socket = Socket::connect(host.address(), &format!("/rooms/{room}")).await;
        let socket = socket.unwrap_or_else(|error| panic!("{room}: {error}"));
        Self::begin(socket, Hello::new(ClientKey([key; 16]), resume)).await
    }

    /// Says `Hello`, and waits for the welcome.
    ///
    /// # Panics
    ///
    /// The host does not welcome the client.
    pub async fn begin(mut socket: Socket, hello: Hello) -> Self {
        socket.say(&ClientMessage::Hello(hello)).await.expect("the host reads a hello");
        match socket.next().await {
            Some(ServerMessage::Welcome(welcome)) => Self { socket, welcome },
            other => panic!("a welcome was expected, and this came: {other:?}"),
        }
    }

    /// Submits a transition.
    ///
    /// # Panics
    ///
    /// The connection is closed.
    pub async fn submit(&mut self, number: u64, transition: Vec<u8>) {
        self.say(&submit(number, transition)).await;
    }

    /// Submits several transitions in one write. Each is the encoded transition of the number that follows.
    ///
    /// # Panics
    ///
    /// The connection is closed.
    pub async fn submit_all(&mut self, first: u64, transitions: impl IntoIterator<Item = Vec<u8>>) {
        for (number, transition) in (first..).zip(transitions) {
            self.socket.feed(submit(number, transition).encode()).await.expect("the host reads on");
        }
        self.socket.flush().await.expect("the host reads on");
    }

    /// Sends a message.
    ///
    /// # Panics
    ///
    /// The connection is closed.
    pub async fn say(&mut self, message: &ClientMessage) {
        self.socket.say(message).await.expect("the host reads on");
    }

    /// Sends a frame that the host may refuse, and stop reading, before all of it is written. Its last message can still be read.
    ///
    /// # Panics
    ///
    /// The frame cannot be sent for another reason.
    pub async fn send_what_is_taken(&mut self, frame: Message) {
        match self.socket.send(frame).await {
            Ok(()) | Err(Error::Io(_)) => {}
            Err(error) => panic!("the frame cannot be sent: {error}"),
        }
    }

    /// Returns the next message; `None` when the host has closed the connection.
    ///
    /// # Panics
    ///
    /// Nothing comes in time.
    pub async fn next(&mut self) -> Option<ServerMessage> {
        self.socket.next().await
    }

    /// Returns the next events, however many arrive at once.
    ///
    /// # Panics
    ///
    /// Something else comes.
    pub async fn events(&mut self) -> Vec<Event> {
        loop {
            match self.next().await {
                Some(ServerMessage::Events(events)) => return events,
                Some(ServerMessage::Presence(_) | ServerMessage::Checkpoint { .. }) => {}
                other => panic!("events were expected, and this came: {other:?}"),
            }
        }
    }

    /// Reads until the event at `seq`.
    ///
    /// # Panics
    ///
    /// Something else comes.
    pub async fn events_to(&mut self, seq: u64) -> Vec<Event> {
        let mut events = Vec::new();
        while events.last().is_none_or(|event: &Event| event.seq.0 < seq) {
            events.extend(self.events().await);
        }
        events
    }

    /// Reads until a rejection.
    ///
    /// # Panics
    ///
    /// The connection is closed.
    pub async fn rejection(&mut self) -> (Number, Rejection) {
        loop {
            match self.next().await {
                Some(ServerMessage::Rejected { number, why }) => return (number, why),
                Some(_) => {}
                None => panic!("a rejection was expected, and the connection was closed"),
            }
        }
    }

    /// Reads until the host says goodbye, and checks that it then closes.
    ///
    /// # Panics
    ///
    /// The connection is closed without a goodbye, or something follows it.
    pub async fn goodbye(&mut self) -> Goodbye {
        loop {
            match self.next().await {
                Some(ServerMessage::Goodbye(goodbye)) => {
                    assert_eq!(self.next().await, None, "something follows {goodbye}");
                    return goodbye;
                }
                Some(_) => {}
                None => panic!("a goodbye was expected, and the connection was closed without one"),
            }
        }
    }

    /// Submits a transition, and reads until it is accepted.
    ///
    /// # Panics
    ///
    /// The transition is rejected.
    pub async fn confirm(&mut self, number: u64, transition: Vec<u8>) {
        self.submit(number, transition).await;
        let participant = self.welcome.participant.clone();
        let is_own = |event: &Event| match &event.input {
            Input::Transition { number: found, author, .. } => found.0 == number && *author == participant,
            _ => false,
        };
        while !self.events().await.iter().any(is_own) {}
    }
}

fn submit(number: u64, transition: Vec<u8>) -> ClientMessage {
    ClientMessage::Submit { number: Number(number), transition: transition.into() }
}
