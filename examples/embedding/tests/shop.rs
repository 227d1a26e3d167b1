//! The shop serves its own routes and the host's side by side, and stops cleanly.

use std::net::SocketAddr;
use std::path::Path;

use reapply_host::host::Host;
use reapply_sync::{ClientKey, Goodbye, Hello};
use reapply_testing::{Session, Socket, http, until};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

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
    async fn join(&self) -> Session {
        let socket = Socket::connect(self.address, "/live/rooms/wishes/lamp").await.unwrap();
        Session::begin(socket, Hello::new(ClientKey([7; 16]), None)).await
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
    let mut session = shop.join().await;
    shop.ask("POST", "/wishes/lamp").await;
    session.events_to(2).await;

    // Stopping ends the session with a word, and the shop with all of its connections.
    let stopping = tokio::spawn(shop.stop());
    assert_eq!(session.goodbye().await, Goodbye::ShuttingDown);
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
