//! A room's log as JSON lines, with its transitions decoded.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use reapply_sync::{Batch, CodecError, Event, Input, Machine, RoomId, Seq};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::HttpError;
use super::extract::Asked;
use super::limits::LOG_EVENTS_MAX;
use super::{Served, room_id, rooms};
use crate::clock::rfc3339;
use crate::machine::Instance;
use crate::room::OpenRoomError;
use crate::room::limits::READ_BYTES;

/// Asks for a part of a log.
#[derive(Debug, Deserialize)]
pub struct Part {
    /// The event before the first one.
    #[serde(default)]
    after: u64,
    /// How many events at most.
    limit: Option<usize>,
}

/// Answers `GET /rooms/{machine}/{room}/log`.
pub async fn log(
    State(served): State<Served>,
    Path((machine, room)): Path<(String, String)>,
    Asked(part): Asked<Part>,
) -> Result<Response, HttpError> {
    let id = room_id(&machine, &room)?;
    if served.rooms.machines().journal().room(&id).await?.is_none() {
        return Err(OpenRoomError::NoSuchRoom(id).into());
    }
    let build = rooms::build(&served, &id).await?;
    let count_max = part.limit.unwrap_or(LOG_EVENTS_MAX).min(LOG_EVENTS_MAX);
    let events = read(&served, &id, Seq(part.after), count_max).await?;
    let lines = tokio::task::spawn_blocking(move || {
        let mut instance = build.instantiate()?;
        let mut lines = String::new();
        for event in &events {
            lines.push_str(&line(&mut instance, event)?.to_string());
            lines.push('\n');
        }
        Ok::<_, reapply_sync::Fault>(lines)
    });
    let lines = lines.await.map_err(|error| HttpError::host_fault(error.to_string()))?;
    let lines = lines.map_err(|fault| HttpError::host_fault(format!("decode: {fault}")))?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from(lines)).into_response())
}

async fn read(served: &Served, id: &RoomId, mut after: Seq, count_max: usize) -> Result<Vec<Event>, HttpError> {
    let journal = served.rooms.machines().journal();
    let mut events = Vec::new();
    while events.len() < count_max {
        let records = journal.read(id, after, READ_BYTES).await?;
        let Some(last) = records.last().map(|record| record.last) else { break };
        for record in records {
            let stored = Batch::read(record.expected, &record.body);
            let stored =
                stored.map_err(|damage| HttpError::host_fault(format!("the log of {id} is damaged: {damage}")))?;
            events.extend(stored.into_iter().filter(|event| event.seq > after));
        }
        after = last;
    }
    events.truncate(count_max);
    Ok(events)
}

/// One event for people. A transition that its machine cannot decode is shown as the bytes it has.
fn line(instance: &mut Instance, event: &Event) -> Result<Value, reapply_sync::Fault> {
    let mut line = json!({
        "seq": event.seq,
        "time": rfc3339(event.time),
        "entropy": format!("{:016x}", event.entropy),
    });
    let (kind, transition) = match &event.input {
        Input::Transition { client, number, transition, .. } => {
            line["client"] = json!(client.to_string());
            line["number"] = json!(number);
            ("transition", Some(transition))
        }
        Input::Alarm(transition) => ("alarm", Some(transition)),
        Input::Joined(_) => ("joined", None),
        Input::Left(_) => ("left", None),
        Input::Upgraded(digest) => {
            line["digest"] = json!(digest.to_string());
            ("upgraded", None)
        }
        Input::Checkpoint { seq, hash } => {
            line["checkpoint"] = json!({ "seq": seq, "hash": hash.to_string() });
            ("checkpoint", None)
        }
        Input::Forked { room, .. } => {
            line["room"] = json!(room.to_string());
            ("forked", None)
        }
    };
    line["kind"] = json!(kind);
    if let Some(author) = event.input.author() {
        line["author"] = json!(author);
    }
    if let Some(transition) = transition {
        let decoded = match instance.decode(transition) {
            Ok(json) => serde_json::from_str(&json).ok(),
            Err(CodecError::Refused(_)) => None,
            Err(CodecError::Fault(fault)) => return Err(fault),
        };
        match decoded {
            Some(decoded) => line["transition"] = decoded,
            None => {
                line["bytes"] = json!(transition.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            }
        }
    }
    Ok(line)
}
