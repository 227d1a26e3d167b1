//! A session: one WebSocket, one task, one place in a room.
//!
//! The task passes the client's messages to the room, and writes the room's events and the messages for this session.
//! All waiting messages go out in one write. When the socket is idle, a message goes out at once.

use std::fmt::Display;
use std::pin::pin;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, close_code};
use bytes::Bytes;
use futures_util::future::poll_immediate;
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use reapply_sync::message::DecodeError;
use reapply_sync::{
    ClientMessage, Goodbye, Hello, Number, Reader, RoomId, SUBPROTOCOL, ServerMessage, SessionId, Welcome,
};
use tokio::sync::mpsc;
use tracing::debug;

use super::limits::{CLOSE_WITHIN, HELLO_WITHIN, MESSAGE_WITHIN, SILENCE_MAX, WRITE_WITHIN};
use super::state::HttpState;
use super::throttle::Throttle;
use crate::room::limits::{SESSION_QUEUE_MAX, SIGNALS_PER_SECOND_MAX};
use crate::room::{DirectMessage, EnterError, Gone, OpenRoomError, Room};

/// The number of bytes of a room's history that are written before the session checks for other messages.
const PORTION_BYTES: usize = 64 * 1024;

/// The number of frames that are handled in a row before their results are written.
const FRAMES_PER_TURN: usize = 256;

/// Bytes of transitions that a session gathers before it passes them to the room. Those of frames that have arrived together are passed together.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

/// The reason why a session ends.
enum End {
    /// The room or the protocol ends the session, with this last message to the client.
    Goodbye(Goodbye),
    /// The client closed, or the connection broke.
    Closed,
}

/// Serves one session over any transport of WebSocket messages, to its end.
pub async fn serve<S, E>(mut socket: S, served: &HttpState, id: &RoomId)
where
    S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
    E: Display,
{
    let end = match read_hello(&mut socket).await {
        Ok(hello) => run(&mut socket, served, id, hello).await,
        Err(end) => end,
    };
    if let End::Goodbye(goodbye) = end {
        debug!(room = %id, %goodbye, "a session ends");
        say_goodbye(&mut socket, goodbye).await;
    }
}

/// Says why a session ends, or does not begin, and closes. A client that cannot read the message, since it speaks another version, still
/// gets the reason with the close.
pub(super) async fn say_goodbye<S, E>(socket: &mut S, goodbye: Goodbye)
where
    S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
{
    let code = if goodbye.retry() { close_code::AGAIN } else { close_code::POLICY };
    let mut reason = goodbye.to_string();
    reason.truncate(reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX));
    let said = async {
        socket.feed(Message::Binary(ServerMessage::Goodbye(goodbye).encode())).await?;
        socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await
    };
    if let Ok(Ok(())) = tokio::time::timeout(WRITE_WITHIN, said).await {
        // A socket that is closed with unread data may lose the last message. So this waits until the client has read it and closes.
        let closed = async { while let Some(Ok(_)) = socket.next().await {} };
        let _still_talking = tokio::time::timeout(CLOSE_WITHIN, closed).await;
    }
}

/// Bytes of a close frame's reason, by the standard.
const CLOSE_REASON_BYTES_MAX: usize = 123;

async fn read_hello<S, E>(socket: &mut S) -> Result<Hello, End>
where
    S: Stream<Item = Result<Message, E>> + Unpin,
    E: Display,
{
    let first = tokio::time::timeout(HELLO_WITHIN, async {
        loop {
            match decode(socket.next().await)? {
                Some(message) => return Ok(message),
                None => continue,
            }
        }
    });
    match first.await {
        Ok(Ok(ClientMessage::Hello(hello))) => Ok(hello),
        Ok(Ok(_)) => Err(bad_message("the first message must be Hello")),
        Ok(Err(end)) => Err(end),
        Err(_) => Err(silent("no Hello came", HELLO_WITHIN)),
    }
}

async fn run<S, E>(socket: &mut S, served: &HttpState, id: &RoomId, hello: Hello) -> End
where
    S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
    E: Display,
{
    let (outbox, direct_messages) = mpsc::channel(SESSION_QUEUE_MAX);
    let participant = hello.key.client_id().anonymous_author();
    let (room, entered) = loop {
        let room = match served.rooms.enter(id).await {
            Ok(room) => room,
            Err(error) => return End::Goodbye(goodbye_for(&error)),
        };
        match room.enter(hello.clone(), participant.clone(), outbox.clone()).await {
            Ok(Ok(entered)) => break (room, entered),
            Ok(Err(goodbye)) => return End::Goodbye(goodbye),
            Err(Gone) => continue,
        }
    };
    drop(outbox);
    let session_id = entered.welcome.session;
    let mut session = SocketSession {
        news: room.news(),
        direct_messages,
        id: session_id,
        reader: entered.reader,
        has_more: false,
        presence_version: 0,
        heard: Instant::now(),
        submits: Throttle::new(served.submits_per_second_max),
        signals: Throttle::new(SIGNALS_PER_SECOND_MAX),
        gathered: Gathered::default(),
        slow_until: None,
        room: room.clone(),
        handed: 0,
    };
    let Err(end) = session.run(socket, entered.welcome).await;
    room.leave(session_id, session.handed).await;
    end
}

/// A session that was welcomed.
struct SocketSession {
    room: Room,
    id: SessionId,
    news: tokio::sync::watch::Receiver<crate::room::News>,
    direct_messages: mpsc::Receiver<DirectMessage>,
    /// The reader of the room's history.
    reader: Reader,
    /// Whether there is more to read at once.
    has_more: bool,
    presence_version: u64,
    /// The time of the client's last frame.
    heard: Instant,
    submits: Throttle,
    slow_until: Option<Instant>,
    signals: Throttle,
    gathered: Gathered,
    /// The number of transitions and other messages that were passed to the room to be handled in order.
    handed: u64,
}

/// Transitions that were read, and not passed to the room yet.
#[derive(Default)]
struct Gathered {
    transitions: Vec<(Number, Bytes)>,
    bytes: usize,
}

impl SocketSession {
    async fn run<S, E>(&mut self, socket: &mut S, welcome: Welcome) -> Result<std::convert::Infallible, End>
    where
        S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
        E: Display,
    {
        feed(socket, ServerMessage::Welcome(welcome).encode()).await?;
        let mut silence = Box::pin(tokio::time::sleep(SILENCE_MAX));
        loop {
            self.write(socket).await?;
            let wait = self.wait();
            tokio::select! {
                // The client's frames first: they have waited while the client read slowly.
                biased;
                message = socket.next(), if wait.is_none() => self.read(socket, message).await?,
                () = async { tokio::time::sleep(wait.unwrap_or_default()).await }, if wait.is_some() => {}
                changed = self.news.changed() => if changed.is_err() {
                    return Err(self.last_message());
                },
                direct = self.direct_messages.recv() => match direct {
                    Some(direct) => self.handle_direct(socket, direct).await?,
                    // The room has ended a session that left its messages unread.
                    None => return Err(End::Goodbye(Goodbye::TooSlow)),
                },
                () = std::future::ready(()), if self.has_more => {}
                () = silence.as_mut() => {
                    let quiet_for = self.heard.elapsed();
                    if quiet_for >= SILENCE_MAX {
                        return Err(silent("nothing was heard", SILENCE_MAX));
                    }
                    silence.as_mut().reset(tokio::time::Instant::now() + (SILENCE_MAX - quiet_for));
                }
            }
        }
    }

    /// Writes the waiting messages in one write. Only a portion of a long history is written, so that it does not hold up other messages.
    async fn write<S, E>(&mut self, socket: &mut S) -> Result<(), End>
    where
        S: Sink<Message, Error = E> + Unpin,
    {
        let (presence, version) = {
            let news = self.news.borrow_and_update();
            (news.presence.clone(), news.presence_version)
        };
        if version != self.presence_version {
            self.presence_version = version;
            feed(socket, presence).await?;
        }
        while let Ok(direct) = self.direct_messages.try_recv() {
            self.handle_direct(socket, direct).await?;
        }
        let mut bytes = 0;
        self.has_more = true;
        while self.has_more && bytes < PORTION_BYTES {
            match self.reader.read(self.room.history()) {
                Ok(None) => self.has_more = false,
                Ok(Some(read)) => {
                    for message in read.messages.iter() {
                        bytes += message.len();
                        feed(socket, message.clone()).await?;
                    }
                    self.has_more = read.has_more;
                }
                Err(_trimmed) => return Err(End::Goodbye(Goodbye::TooSlow)),
            }
        }
        within(MESSAGE_WITHIN, socket.flush()).await
    }

    async fn handle_direct<S, E>(&mut self, socket: &mut S, direct: DirectMessage) -> Result<(), End>
    where
        S: Sink<Message, Error = E> + Unpin,
    {
        match direct {
            DirectMessage::Frame(frame) => feed(socket, frame).await,
            DirectMessage::Slow(until) => {
                self.slow_until = Some(until);
                Ok(())
            }
            DirectMessage::Goodbye(goodbye) => Err(End::Goodbye(goodbye)),
        }
    }

    /// Returns the time for which the client's frames are not read, because it submitted too fast or its transitions made the machine fault.
    fn wait(&mut self) -> Option<Duration> {
        let slow = self.slow_until.map(|until| until.saturating_duration_since(Instant::now()));
        slow.filter(|wait| !wait.is_zero()).max(self.submits.wait())
    }

    /// Handles a frame, and further ones that have arrived already.
    async fn read<S, E>(&mut self, socket: &mut S, first: Option<Result<Message, E>>) -> Result<(), End>
    where
        S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
        E: Display,
    {
        self.heard = Instant::now();
        let read = self.read_frames(socket, first).await;
        // What came before an invalid message counts.
        self.pass_gathered().await?;
        read
    }

    async fn read_frames<S, E>(&mut self, socket: &mut S, first: Option<Result<Message, E>>) -> Result<(), End>
    where
        S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
        E: Display,
    {
        let mut frame = first;
        for handled in 1.. {
            if let Some(message) = decode(frame)? {
                self.handle(socket, message).await?;
            }
            // The next frame is read only if it will be handled.
            if handled == FRAMES_PER_TURN || self.wait().is_some() {
                break;
            }
            match socket.next().now_or_never() {
                Some(next) => frame = next,
                None => break,
            }
        }
        Ok(())
    }

    async fn handle<S, E>(&mut self, socket: &mut S, message: ClientMessage) -> Result<(), End>
    where
        S: Sink<Message, Error = E> + Unpin,
    {
        let told = match message {
            ClientMessage::Submit { number, transition } => {
                self.submits.take();
                self.gathered.bytes += transition.len();
                self.gathered.transitions.push((number, transition));
                return if self.gathered.bytes < GATHERED_BYTES_MAX { Ok(()) } else { self.pass_gathered().await };
            }
            ClientMessage::Ping(value) => {
                self.pass_gathered().await?;
                return feed(socket, ServerMessage::Pong(value).encode()).await;
            }
            ClientMessage::Signal(body) if self.signals.wait().is_none() => {
                self.signals.take();
                self.room.signal(self.id, body).await
            }
            ClientMessage::Signal(_) => Ok(()),
            // Each writes a line to the operator's log, so their rate is limited too.
            ClientMessage::Diverged { seq, ours } if self.signals.wait().is_none() => {
                self.signals.take();
                self.room.diverged(self.id, seq, ours).await
            }
            ClientMessage::Diverged { .. } => Ok(()),
            ClientMessage::Upgraded(upgrade) => {
                self.pass_gathered().await?;
                self.handed += 1;
                self.room.followed(self.id, upgrade).await
            }
            ClientMessage::Hello(hello) => {
                self.pass_gathered().await?;
                self.handed += 1;
                return match self.room.resync(self.id, hello).await {
                    Ok(Some(entered)) => {
                        self.reader = entered.reader;
                        feed(socket, ServerMessage::Welcome(entered.welcome).encode()).await
                    }
                    Ok(None) => Err(bad_message("this Hello has another key than the session's first one")),
                    Err(Gone) => Err(self.goodbye_of_room().await),
                };
            }
            ClientMessage::Arrived(hash) => {
                self.reader.handle_arrived(self.room.history(), hash);
                Ok(())
            }
        };
        told.map_err(|Gone| self.last_message())
    }

    /// Passes the gathered transitions to the room, which handles them in order with messages that are passed later.
    async fn pass_gathered(&mut self) -> Result<(), End> {
        let Gathered { transitions, .. } = std::mem::take(&mut self.gathered);
        if transitions.is_empty() {
            return Ok(());
        }
        self.handed += transitions.len() as u64;
        self.room.submit(self.id, transitions).await.map_err(|Gone| self.last_message())
    }

    /// Returns the end of a session that the room has ended, or whose room is gone: the room's `Goodbye`, which may still be on its way.
    async fn goodbye_of_room(&mut self) -> End {
        while let Some(direct) = self.direct_messages.recv().await {
            if let DirectMessage::Goodbye(goodbye) = direct {
                return End::Goodbye(goodbye);
            }
        }
        End::Goodbye(Goodbye::ShuttingDown)
    }

    /// Returns the end of a session whose room is gone: the room's `Goodbye`, if it has sent one.
    fn last_message(&mut self) -> End {
        while let Ok(direct) = self.direct_messages.try_recv() {
            if let DirectMessage::Goodbye(goodbye) = direct {
                return End::Goodbye(goodbye);
            }
        }
        End::Goodbye(Goodbye::ShuttingDown)
    }
}

/// Decodes a WebSocket message; `None` for one without a meaning here, such as a ping, which the WebSocket library answers.
fn decode<E: Display>(message: Option<Result<Message, E>>) -> Result<Option<ClientMessage>, End> {
    match message {
        Some(Ok(Message::Binary(frame))) => match ClientMessage::decode(&frame) {
            Ok(message) => Ok(Some(message)),
            Err(DecodeError::Skippable { .. }) => Ok(None),
            Err(error) => Err(bad_message(error.to_string())),
        },
        Some(Ok(Message::Text(_))) => {
            Err(bad_message(format!("this is a text frame; {SUBPROTOCOL} uses binary frames")))
        }
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Close(_))) | None => Err(End::Closed),
        Some(Err(error)) => Err(bad_message(error.to_string())),
    }
}

fn bad_message(what: impl Into<String>) -> End {
    End::Goodbye(Goodbye::BadMessage(what.into()))
}

/// Returns the end of a session whose client was silent. The client may connect again.
fn silent(what: &str, within: Duration) -> End {
    End::Goodbye(Goodbye::Silent(format!("{what} within {} s", within.as_secs())))
}

/// Returns the last message of a session whose room cannot be entered.
pub(super) fn goodbye_for(error: &EnterError) -> Goodbye {
    match error {
        EnterError::ShuttingDown => Goodbye::ShuttingDown,
        EnterError::Full | EnterError::NoMemory(_) => Goodbye::Full(error.to_string()),
        EnterError::Open(OpenRoomError::Journal(_) | OpenRoomError::NotStored(_)) => Goodbye::StorageFailed,
        EnterError::Open(OpenRoomError::NoSuchMachine(_)) => Goodbye::Refused { why: error.to_string(), retry: false },
        EnterError::Open(_) | EnterError::Troubled(_) => Goodbye::RoomFailed(error.to_string()),
    }
}

async fn feed<S, E>(socket: &mut S, frame: Bytes) -> Result<(), End>
where
    S: Sink<Message, Error = E> + Unpin,
{
    within(MESSAGE_WITHIN, socket.feed(Message::Binary(frame))).await
}

async fn within<E>(limit: Duration, writing: impl Future<Output = Result<(), E>>) -> Result<(), End> {
    let mut writing = pin!(writing);
    // Most writes are done at once, and need no timer.
    let written = match poll_immediate(writing.as_mut()).await {
        Some(written) => Ok(written),
        None => tokio::time::timeout(limit, writing).await,
    };
    match written {
        Ok(Ok(())) => Ok(()),
        // The client no longer reads, so it cannot be told.
        Ok(Err(_)) | Err(_) => Err(End::Closed),
    }
}
