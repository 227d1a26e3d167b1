//! A shop that shows how many people want a thing, live. The shop is an ordinary axum application; the counts are rooms of a Reapply host
//! inside it, whose routes are mounted below `/live`.

use std::path::Path;

use anyhow::Context;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use reapply_host::host::{Config, Host};
use reapply_host::room::{EnterError, OpenRoomError, Submission, Verdict, ViewError};
use reapply_sync::{Author, RoomId};
use serde_json::{Value, json};

/// Opens the host on its data directory, with the machine that the shop's rooms run.
///
/// # Errors
///
/// The data directory cannot be used, or the component is refused.
// ANCHOR: open
pub async fn open(data: &Path, component: Vec<u8>) -> anyhow::Result<Host> {
    let host = Host::open(Config::new(data)).await?;
    host.machines().deploy(Some("wishes".parse()?), component.into()).await.context("the machine is refused")?;
    Ok(host)
}
// ANCHOR_END: open

/// Returns the shop's routes, and the host's below them.
// ANCHOR: router
pub fn router(host: &Host) -> Router {
    Router::new()
        .route("/", get(async || "the shop"))
        .route("/wishes/{thing}", get(read).post(wish))
        .with_state(host.clone())
        .nest("/live", host.router())
}
// ANCHOR_END: router

/// Handles `POST /wishes/{thing}`: one more person wants the thing.
// ANCHOR: submit
async fn wish(State(host): State<Host>, UrlPath(thing): UrlPath<String>) -> Result<Response, Failure> {
    // The shop knows who is signed in. The host takes its word.
    let author = Author("ada@shop.example".into());
    let submission = Submission::once(author, json!({ "Increment": 1 }).to_string());
    Ok(match host.rooms().submit(&room(&thing)?, submission).await? {
        Verdict::Accepted { seq, .. } => Json(json!({ "wish": seq })).into_response(),
        Verdict::Rejected(why) => (StatusCode::CONFLICT, why.to_string()).into_response(),
        // The room is full, or its journal fails: nothing was stored.
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    })
}
// ANCHOR_END: submit

/// Handles `GET /wishes/{thing}`: returns the count.
// ANCHOR: read
async fn read(State(host): State<Host>, UrlPath(thing): UrlPath<String>) -> Result<Json<Value>, Failure> {
    let count = match host.rooms().view(&room(&thing)?).await {
        Ok(moment) => serde_json::from_slice::<Value>(&moment.view)?["count"].take(),
        // A room begins with its first transition.
        Err(ViewError::Enter(EnterError::Open(OpenRoomError::NoSuchRoom(_)))) => json!(0),
        Err(error) => return Err(error.into()),
    };
    Ok(Json(json!({ "thing": thing, "wanted_by": count })))
}
// ANCHOR_END: read

fn room(thing: &str) -> anyhow::Result<RoomId> {
    Ok(RoomId { machine: "wishes".parse()?, room: thing.parse()? })
}

/// The error of a failed request, as the shop reports it.
struct Failure(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{:#}", self.0)).into_response()
    }
}
