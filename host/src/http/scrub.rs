//! The progress of proving the stored data, and the damage that was found.

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use reapply_journal::ScrubReport;
use serde_json::{Value, json};

use super::error::HttpError;
use super::guard::Administrator;
use super::state::HttpState;

/// Handles `GET /scrub`, and `POST /scrub`, which begins another pass.
pub async fn scrub(
    State(served): State<HttpState>,
    Administrator { .. }: Administrator,
    method: Method,
) -> Result<Json<Value>, HttpError> {
    let ScrubReport { rooms, bytes, is_done, damaged, elsewhere } = served.logs.journal.scrub(method == Method::POST);
    let damaged: Vec<Value> =
        damaged.into_iter().map(|(room, why)| json!({ "room": room.to_string(), "why": why })).collect();
    Ok(Json(json!({ "rooms": rooms, "bytes": bytes, "done": is_done, "damaged": damaged, "elsewhere": elsewhere })))
}
