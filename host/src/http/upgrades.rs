//! Upgrades over HTTP: trials and actions are reported as they happen, as JSON lines.

use std::convert::Infallible;

use axum::body::Body as Answer;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::body::Body;
use super::error::HttpError;
use super::extract::{MachinePath, RoomPath};
use super::guard::Administrator;
use super::limits::BODY_BYTES_MAX;
use super::state::HttpState;
use crate::upgrade::limits::{LINES_WAITING_MAX, REPLAY_EVENTS};
use crate::upgrade::report::Line;
use crate::upgrade::{UpgradeRequest, UpgradeTarget};

/// The options of an upgrade in the body, which may be empty.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UpgradeBody {
    /// The build's digest, or the beginning of it; by default the machine's current one.
    to: Option<String>,
    /// Whether nothing is to be changed.
    dry_run: bool,
    /// Whether a room that was already broken stops the upgrade of all others.
    all_or_nothing: bool,
    /// The number of events that the gate plays of each room.
    replay: Option<u64>,
}

/// Handles `POST /machines/{machine}/upgrade`: all rooms of a machine.
pub async fn machine(
    State(served): State<HttpState>,
    _: Administrator,
    MachinePath(name): MachinePath,
    body: Body<BODY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    upgrade(&served, UpgradeTarget::Machine(name), &body).await
}

/// Handles `POST /rooms/{machine}/{room}/upgrade`: one room.
pub async fn room(
    State(served): State<HttpState>,
    _: Administrator,
    RoomPath(id): RoomPath,
    body: Body<BODY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    upgrade(&served, UpgradeTarget::Room(id), &body).await
}

async fn upgrade(served: &HttpState, which: UpgradeTarget, body: &Body<BODY_BYTES_MAX>) -> Result<Response, HttpError> {
    let UpgradeBody { to, dry_run, all_or_nothing, replay } = match body.text()?.trim() {
        "" => UpgradeBody::default(),
        _ => body
            .object("the body of an upgrade is JSON with the fields `to`, `dry_run`, `all_or_nothing` and `replay`")?,
    };
    let asked = UpgradeRequest { which, to, dry_run, all_or_nothing, replay: replay.unwrap_or(REPLAY_EVENTS) };
    let order = served.upgrades.begin(asked).await?;
    let (lines, told) = mpsc::channel(LINES_WAITING_MAX);
    tokio::spawn(order.run(lines));
    let body = futures_util::stream::unfold(told, async |mut told: mpsc::Receiver<Line>| {
        let line = told.recv().await?;
        // These types always become JSON; an empty line would be read as a broken answer.
        let json = serde_json::to_string(&line).unwrap_or_default() + "\n";
        Some((Ok::<_, Infallible>(json), told))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Answer::from_stream(body)).into_response())
}
