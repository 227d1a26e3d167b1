//! The least that any host must do, as a host to compare with: it orders what comes in, appends a batch with one `fdatasync`, and fans out. It has
//! no machine, no snapshots, no chain, no exactly-once and no reader's pace, so no host that has them can do better.
//!
//! ```text
//!  session, reading ──▶ room: numbers the events of all that waits, and encodes them once
//!                         │         ▲
//!                         ▼         │ stored
//!                       journal: one write and one fdatasync for all rooms' batches that wait
//!  session, writing ◀── room: the same bytes to every session
//! ```
//!
//! It speaks as much of `reapply.v2` as this program's client needs, over the same libraries as the host.

mod journal;
mod room;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{self, State, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt, stream};
use reapply_sync::{ClientMessage, SUBPROTOCOL, ServerMessage};
use tokio::net::TcpListener;

use self::journal::Journal;
use self::room::{Frame, Frames, Room, Submit};

/// Serves on a free port, which it prints as the host does, until the process is killed. Its log is in `directory`.
///
/// # Errors
///
/// Fails if no port is free, or if the file of the log cannot be written.
pub(crate) fn serve(directory: &Path) -> anyhow::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX).context("the number of open files cannot be raised")?;
    let rooms = Arc::new(Rooms { journal: Journal::create(directory)?, rooms: Mutex::default() });
    let room = get(look_or_join).put(create);
    let router = Router::new().route("/rooms/{machine}/{room}", room).with_state(rooms);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("listening on http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            let _only_slower = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await.context("the baseline ended")
    })
}

struct Rooms {
    journal: Journal,
    rooms: Mutex<HashMap<String, Arc<Room>>>,
}

impl Rooms {
    /// Returns the room, which is created at first.
    fn room(&self, name: String) -> Arc<Room> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(rooms.entry(name).or_insert_with(|| Arc::new(Room::start(self.journal.clone()))))
    }
}

type Name = extract::Path<(String, String)>;

async fn create(State(rooms): State<Arc<Rooms>>, extract::Path((_, room)): Name) {
    rooms.room(room);
}

async fn look_or_join(
    State(rooms): State<Arc<Rooms>>,
    extract::Path((_, room)): Name,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let room = rooms.room(room);
    match upgrade {
        Ok(upgrade) => upgrade.protocols([SUBPROTOCOL]).on_upgrade(async move |socket| {
            // Whoever leaves in the middle of something is gone, and that is all.
            let _gone = take_part(socket, &room).await;
        }),
        Err(_) => format!("{{\"seq\":{}}}", room.head()).into_response(),
    }
}

/// A session, from its greeting to its end.
async fn take_part(socket: WebSocket, room: &Room) -> anyhow::Result<()> {
    let (mut to_client, mut from_client) = socket.split();
    let hello = from_client.next().await.context("nobody greeted")??;
    let ClientMessage::Hello(hello) = ClientMessage::decode(&hello.into_data())? else { return Ok(()) };
    let (welcome, frames) = room.join();
    to_client.send(Message::Binary(ServerMessage::Welcome(welcome).encode())).await?;
    let writing = tokio::spawn(async move { write(to_client, frames).await });
    let client = hello.key.client_id();
    while let Some(Ok(message)) = from_client.next().await {
        if let Ok(ClientMessage::Submit { number, transition }) = ClientMessage::decode(&message.into_data()) {
            room.submit(Submit { client, number, transition }).await;
        }
    }
    writing.abort();
    Ok(())
}

/// Writes whatever there is at once.
async fn write(mut to_client: stream::SplitSink<WebSocket, Message>, mut frames: Frames) -> anyhow::Result<()> {
    loop {
        let mut next = Some(frames.next().await?);
        while let Some(Frame { bytes, .. }) = next {
            to_client.feed(Message::Binary(bytes)).await?;
            next = frames.try_next()?;
        }
        to_client.flush().await?;
    }
}
