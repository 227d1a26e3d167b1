//! The shop serves its own routes and the host's side by side, and stops cleanly.

use std::net::SocketAddr;
use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use reapply_host::host::Host;
use reapply_sync::{ClientKey, ClientMessage, Goodbye, Hello, SUBPROTOCOL, ServerMessage};
use reapply_testing::{http, until};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

struct Shop {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Shop {
    /// Serves the shop as its `main` does, until it is told to stop.
    async fn start(data: &Path) -> Self {
        let component = std::fs::read(guest_components::component("counter")).unwrap();
        // A host that was stopped may need a moment to release its data.
        let host: Host = until("the data directory is free", async || {
            example_embedding::open(data, component.clone()).await.map_err(|error| format!("{error:#}"))
        })
        .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let stopping = host.clone();
            let serving = axum::serve(listener, example_embedding::router(&host)).with_graceful_shutdown(async move {
                drop(stopped.await);
                stopping.stop().await;
            });
            serving.await.unwrap();
        });
        Self { address, stop, served }
    }

    /// Tells the shop to stop, and waits until all of it has.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
    }

    async fn ask(&self, method: &'static str, path: &str) -> http::Answer {
        let url = format!("http://{}{path}", self.address);
        tokio::task::spawn_blocking(move || http::send(method, &url, &[], None)).await.unwrap()
    }

    async fn wanted(&self) -> Value {
        self.ask("GET", "/wishes/lamp").await.json()["wanted_by"].take()
    }

    /// Joins the room as a page does, below the prefix.
    async fn join(&self) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        let url = format!("ws://{}/live/rooms/wishes/lamp", self.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
        let (mut socket, _) = connect_async(request).await.unwrap();
        let hello = ClientMessage::Hello(Hello::new(ClientKey([7; 16]), None)).encode();
        socket.send(Message::Binary(hello)).await.unwrap();
        socket
    }
}

/// Reads messages until the expected one has come.
async fn await_message<T>(
    socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
    mut look: impl FnMut(ServerMessage) -> Option<T>,
) -> T {
    loop {
        let message = socket.next().await.expect("the connection goes on").unwrap();
        if let Message::Binary(frame) = message
            && let Some(found) = look(ServerMessage::decode(&frame).unwrap())
        {
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_used_from_rust_from_http_and_from_a_socket() {
    let data = tempfile::tempdir().unwrap();
    let shop = Shop::start(data.path()).await;
    assert_eq!(shop.ask("GET", "/").await.text(), "the shop");
    assert_eq!(shop.wanted().await, json!(0));
    assert_eq!(shop.ask("POST", "/wishes/lamp").await.json(), json!({ "wish": 1 }));

    // The host's routes are below the prefix, and only there.
    let room = shop.ask("GET", "/live/rooms/wishes/lamp").await.json();
    assert_eq!((&room["seq"], &room["view"]["count"]), (&json!(1), &json!(1)));
    assert_eq!(shop.ask("GET", "/rooms/wishes/lamp").await.status, 404);
    assert_eq!(shop.ask("GET", "/live/reapply.js").await.status, 200);
    assert_eq!(shop.ask("GET", "/live/nothing").await.status, 404);
    let log = shop.ask("GET", "/live/rooms/wishes/lamp/log").await.json_lines();
    assert_eq!(log[0]["author"], "ada@shop.example");

    // What Rust submits, a page sees.
    let mut socket = shop.join().await;
    await_message(&mut socket, |message| matches!(message, ServerMessage::Welcome(_)).then_some(())).await;
    shop.ask("POST", "/wishes/lamp").await;
    await_message(&mut socket, |message| match message {
        ServerMessage::Events(events) => events.iter().any(|event| event.seq.0 == 2).then_some(()),
        _ => None,
    })
    .await;

    // Stopping ends the session with a word, and the shop with all of its connections.
    let stopping = tokio::spawn(shop.stop());
    let goodbye = await_message(&mut socket, |message| match message {
        ServerMessage::Goodbye(goodbye) => Some(goodbye),
        _ => None,
    });
    assert_eq!(goodbye.await, Goodbye::ShuttingDown);
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_host_leaves_its_data_to_the_next_one() {
    let data = tempfile::tempdir().unwrap();
    for wish in 1..=3 {
        let shop = Shop::start(data.path()).await;
        assert_eq!(shop.ask("POST", "/wishes/lamp").await.json(), json!({ "wish": wish }));
        assert_eq!(shop.wanted().await, json!(wish));
        shop.stop().await;
    }
}
