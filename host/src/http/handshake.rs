//! The beginning of a session: the WebSocket's handshake, and the reasons why there is none.

use std::sync::Arc;

use axum::extract::ws::{WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reapply_sync::{Goodbye, RoomId, SUBPROTOCOL};
use tokio::sync::OwnedSemaphorePermit;
use tracing::warn;

use super::error::HttpError;
use super::extract::{ApiQuery, RoomPath};
use super::limits::{SESSIONS_MAX, SOCKET_MESSAGE_BYTES_MAX, SOCKET_READ_BUFFER_BYTES, SOCKET_WRITE_BUFFER_BYTES};
use super::rooms::{self, At};
use super::socket;
use super::state::HttpState;

/// Handles `GET /rooms/{machine}/{room}`: returns the room as JSON, or begins a session if the client asks for a WebSocket.
pub async fn get_room_or_session(
    State(served): State<HttpState>,
    id: Result<RoomPath, HttpError>,
    at: Result<ApiQuery<At>, HttpError>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, HttpError> {
    if !headers.contains_key(header::UPGRADE) && headers.contains_key(header::SEC_WEBSOCKET_KEY) {
        warn!(
            "a WebSocket came without its Upgrade header: a proxy has dropped it, and pages stay offline until it passes it on"
        );
        let message =
            "the proxy in front of this host has dropped the Upgrade header: configure it to pass WebSockets on";
        return Err(HttpError::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", message));
    }
    if !headers.contains_key(header::UPGRADE) {
        let (RoomPath(id), ApiQuery(at)) = (id?, at?);
        return rooms::show(&served, &id, at).await;
    }
    let upgrade = upgrade.map_err(|rejection| HttpError::bad_request(rejection.to_string()))?;
    let Some(protocol) = offered(&headers) else {
        return Err(HttpError::bad_request(format!("offer the WebSocket subprotocol {SUBPROTOCOL}")));
    };
    Ok(match admit(&served, id, &protocol).await {
        Ok((id, permit)) => accept(upgrade, protocol).on_upgrade(move |socket: WebSocket| async move {
            socket::serve(socket, &served, &id).await;
            drop(permit);
        }),
        Err(goodbye) => accept_to_refuse(upgrade, protocol, goodbye),
    })
}

/// Refuses a request: with a `Goodbye` if it asks for a session, otherwise with `error`.
pub(super) async fn refuse(request: Request, goodbye: Goodbye, error: HttpError) -> Response {
    let (mut parts, _body) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.ok();
    match upgrade.zip(offered(&parts.headers)) {
        Some((upgrade, protocol)) => accept_to_refuse(upgrade, protocol, goodbye),
        None => error.into_response(),
    }
}

/// Accepts a WebSocket only to say why there is no session, since a page cannot read why a handshake failed.
fn accept_to_refuse(upgrade: WebSocketUpgrade, protocol: String, goodbye: Goodbye) -> Response {
    accept(upgrade, protocol).on_upgrade(|mut socket| async move { socket::say_goodbye(&mut socket, goodbye).await })
}

/// Returns the protocol to answer with: this host's version, or else another version that the client offers.
fn offered(headers: &HeaderMap) -> Option<String> {
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter().filter_map(|value| value.to_str().ok());
    let names: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
    let found = names.iter().find(|name| **name == SUBPROTOCOL);
    found.or_else(|| names.iter().find(|name| name.starts_with(PROTOCOL_FAMILY))).map(|name| (*name).to_owned())
}

/// The prefix of the names of all versions of the protocol.
const PROTOCOL_FAMILY: &str = "reapply.";

fn accept(upgrade: WebSocketUpgrade, protocol: String) -> WebSocketUpgrade {
    upgrade
        .protocols([protocol])
        .read_buffer_size(SOCKET_READ_BUFFER_BYTES)
        .write_buffer_size(SOCKET_WRITE_BUFFER_BYTES)
        .max_message_size(SOCKET_MESSAGE_BYTES_MAX)
        .max_frame_size(SOCKET_MESSAGE_BYTES_MAX)
}

/// Checks that there may be a session: the room opens, and the host is below its limit of sessions.
async fn admit(
    served: &HttpState,
    id: Result<RoomPath, HttpError>,
    protocol: &str,
) -> Result<(RoomId, OwnedSemaphorePermit), Goodbye> {
    let never = |why: String| Goodbye::Refused { why, retry: false };
    if protocol != SUBPROTOCOL {
        let why = format!("this host speaks {SUBPROTOCOL}, and this client {protocol}: reload the page");
        return Err(never(why));
    }
    let RoomPath(id) = id.map_err(|error| never(error.to_string()))?;
    let permit = Arc::clone(&served.sessions).try_acquire_owned();
    let permit = permit
        .map_err(|_| Goodbye::Full(format!("the host is at its limit of {SESSIONS_MAX} sessions; try again later")))?;
    served.rooms.enter(&id).await.map_err(|error| socket::goodbye_for(&error))?;
    Ok((id, permit))
}
