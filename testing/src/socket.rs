//! A WebSocket to a room, which carries messages of the protocol.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use reapply_sync::{ClientMessage, Goodbye, SUBPROTOCOL, ServerMessage};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::DEADLINE;

/// An open WebSocket that nothing was said on yet.
#[derive(Debug)]
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Connects to a path such as `/rooms/counter/lobby`.
    ///
    /// # Errors
    ///
    /// There is no connection, or the host does not accept the WebSocket.
    pub async fn connect(address: SocketAddr, path: &str) -> Result<Self, Error> {
        Self::over(TcpStream::connect(address).await?, path, &[]).await
    }

    /// Asks for a WebSocket over a connection that is open, with more headers.
    ///
    /// # Errors
    ///
    /// The host does not accept the WebSocket.
    pub async fn over(stream: TcpStream, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{}{path}", stream.peer_addr()?).into_client_request()?;
        for (name, value) in [("sec-websocket-protocol", SUBPROTOCOL)].iter().chain(headers) {
            request.headers_mut().insert(*name, value.parse()?);
        }
        Ok(Self(client_async(request, stream).await?.0))
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    pub async fn say(&mut self, message: &ClientMessage) -> Result<(), Error> {
        self.send(Message::Binary(message.encode())).await
    }

    /// Sends any frame.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    pub async fn send(&mut self, frame: Message) -> Result<(), Error> {
        self.0.send(frame).await
    }

    /// Adds an encoded message to the next write.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    pub async fn feed(&mut self, message: Bytes) -> Result<(), Error> {
        self.0.feed(Message::Binary(message)).await
    }

    /// Writes what was added.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.0.flush().await
    }

    /// Returns the next message's bytes, however long that takes; `None` when the connection is closed. A call that is dropped loses nothing.
    ///
    /// # Panics
    ///
    /// A frame comes that is not part of the protocol.
    pub async fn receive(&mut self) -> Option<Bytes> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(frame))) => return Some(frame),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(other)) => panic!("this is not a frame of the protocol: {other:?}"),
            }
        }
    }

    /// Returns the next message; `None` when the host has closed the connection.
    ///
    /// # Panics
    ///
    /// Nothing comes in time, or something that is not a message of the protocol.
    pub async fn next(&mut self) -> Option<ServerMessage> {
        let received = tokio::time::timeout(DEADLINE, self.receive()).await.expect("the host says something");
        received.map(|frame| ServerMessage::decode(&frame).expect("the host sends messages of the protocol"))
    }

    /// Returns the goodbye of a host that says nothing else, and then closes with the same reason.
    ///
    /// # Panics
    ///
    /// Something else comes.
    pub async fn refusal(mut self) -> Goodbye {
        let Some(ServerMessage::Goodbye(goodbye)) = self.next().await else { panic!("no goodbye came") };
        let closed = tokio::time::timeout(DEADLINE, self.0.next()).await.expect("the host closes");
        let Some(Ok(Message::Close(Some(close)))) = closed else { panic!("no close came: {closed:?}") };
        assert!(goodbye.to_string().starts_with(close.reason.as_str()) && !close.reason.is_empty(), "{close:?}");
        goodbye
    }
}
