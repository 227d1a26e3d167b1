//! Rooms over HTTP: list, show, create, submit.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use reapply_sync::limits::COUNT_MAX;
use reapply_sync::{ClientId, ClientKey, Name, Number, RoomId, Seq};
use serde::Deserialize;
use serde_json::json;

use super::body::Body;
use super::error::HttpError;
use super::extract::{ApiQuery, RoomPath};
use super::limits::{BODY_BYTES_MAX, ROOMS_LISTED_MAX};
use super::spliced;
use super::state::HttpState;
use crate::clock::{parse_rfc3339, rfc3339};
use crate::room::{BUSY, LogPosition, Submission, Verdict, state_at};

/// The header with the key of a request's client.
const CLIENT: &str = "reapply-client";

/// The header with the client's number for a transition.
const NUMBER: &str = "reapply-number";

/// The parameters of a request for a room's state.
#[derive(Debug, Default, Deserialize)]
pub struct At {
    /// The last event in the state; by default the newest.
    seq: Option<u64>,
    /// The time of that event, instead of `seq`.
    time: Option<String>,
}

/// The parameters of a request for a list of rooms.
#[derive(Debug, Deserialize)]
pub struct RoomsQuery {
    /// Only those of this machine.
    machine: Option<String>,
    /// Only those after this one, as `machine/room`.
    after: Option<String>,
}

/// Handles `GET /rooms`.
pub async fn list(
    State(served): State<HttpState>,
    ApiQuery(which): ApiQuery<RoomsQuery>,
) -> Result<Response, HttpError> {
    let machine = which.machine.as_deref().map(str::parse::<Name>).transpose()?;
    let after = which.after.as_deref().map(str::parse::<RoomId>).transpose();
    let after = after.map_err(|error| HttpError::bad_request(format!("`after`: {error}")))?;
    let rooms = served.logs.journal.rooms(machine.as_ref(), after.as_ref(), ROOMS_LISTED_MAX).await?;
    let rooms: Vec<_> = rooms
        .iter()
        .map(|room| {
            let RoomId { machine, room: name } = &room.room;
            json!({
                "machine": machine,
                "room": name,
                "digest": room.digest.to_string(),
                "seq": room.head,
                "created": rfc3339(room.genesis.time),
                "changed": rfc3339(room.time),
                "participants": served.rooms.participants(&room.room),
                "awake": served.rooms.is_awake(&room.room),
                "memory_bytes": served.rooms.memory_of(&room.room),
                "troubles": served.rooms.troubles(&room.room).iter().map(|cause| &**cause).collect::<Vec<_>>(),
            })
        })
        .collect();
    let (bytes, bytes_max) = served.rooms.memory();
    let memory = json!({ "bytes": bytes, "bytes_max": bytes_max });
    Ok(Json(json!({ "memory": memory, "rooms": rooms })).into_response())
}

/// Returns a room as JSON: now, or at a past moment.
pub(super) async fn show(served: &HttpState, id: &RoomId, at: At) -> Result<Response, HttpError> {
    let moment = match place(at.seq, at.time.as_deref())? {
        LogPosition::Head => served.rooms.view(id).await?,
        place => {
            let record = served.rooms.settled(id).await?;
            state_at(&served.logs, &record, place).await?
        }
    };
    #[derive(serde::Serialize)]
    struct Shown<'a> {
        machine: &'a Name,
        room: &'a Name,
        digest: String,
        seq: Seq,
        time: String,
    }
    let shown = Shown {
        machine: &id.machine,
        room: &id.room,
        digest: moment.digest.to_string(),
        seq: moment.seq,
        time: rfc3339(moment.time),
    };
    spliced::response(&shown, "view", moment.view)
}

/// Handles `PUT /rooms/{machine}/{room}`: begins a room with options of its own.
pub async fn create(
    State(served): State<HttpState>,
    RoomPath(id): RoomPath,
    body: Body<BODY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    served.rooms.create(&id, body.text()?.to_owned()).await?;
    Ok((StatusCode::CREATED, Json(json!({ "machine": id.machine, "room": id.room }))).into_response())
}

/// Handles `POST /rooms/{machine}/{room}`: submits a transition, and waits until it is durable or rejected.
pub async fn submit(
    State(served): State<HttpState>,
    RoomPath(id): RoomPath,
    headers: HeaderMap,
    body: Body<BODY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    let (client, number) = client_and_number(&headers)?;
    let (author, json) = (client.anonymous_author(), body.text()?.to_owned());
    answer(served.rooms.submit(&id, Submission { author, client, number, json }).await?)
}

/// Returns the place in a log that a request names, by a seq or by a time.
pub(super) fn place(seq: Option<u64>, time: Option<&str>) -> Result<LogPosition, HttpError> {
    match (seq, time) {
        (None, None) => Ok(LogPosition::Head),
        (Some(seq), None) => Ok(LogPosition::Seq(Seq(seq))),
        (None, Some(time)) => match parse_rfc3339(time) {
            Some(time) => Ok(LogPosition::Time(time)),
            None => Err(HttpError::bad_request("`time` is a time such as 2026-01-31T12:00:00Z")),
        },
        (Some(_), Some(_)) => Err(HttpError::bad_request("give either `seq` or `time`")),
    }
}

fn answer(verdict: Verdict) -> Result<Response, HttpError> {
    match verdict {
        Verdict::Accepted { seq, time } => Ok(Json(json!({ "seq": seq, "time": rfc3339(time) })).into_response()),
        Verdict::Rejected(why) => Err(why.into()),
        Verdict::DecidedBefore { seq: Some(seq) } => Ok(Json(json!({ "seq": seq, "repeated": true })).into_response()),
        Verdict::DecidedBefore { seq: None } => Err(HttpError::new(
            StatusCode::CONFLICT,
            "decided-before",
            "this client's number was decided before; if it was accepted, it is in the room's log",
        )),
        Verdict::NotStored => {
            let message = "the journal could not store it: try again. With the same reapply-client and reapply-number it is applied once";
            Err(HttpError::unavailable(message))
        }
        Verdict::Upgraded => Err(HttpError::unavailable("the room is being upgraded: try again")),
        Verdict::Busy => {
            Err(HttpError::new(StatusCode::TOO_MANY_REQUESTS, BUSY, "the room's queue is full: try again later"))
        }
        Verdict::MustWait { micros } => {
            let wait = Duration::from_micros(micros);
            let message = format!(
                "the machine failed on this author's transitions, so their next one is taken in {} ms: try again then",
                wait.as_millis()
            );
            Err(HttpError::new(StatusCode::TOO_MANY_REQUESTS, BUSY, message).retry_after(wait))
        }
    }
}

/// Returns the client and the number that a request names. A request that names neither is the only one of a client of its own.
fn client_and_number(headers: &HeaderMap) -> Result<(ClientId, Number), HttpError> {
    let missing = |missing: &str, given: &str| {
        HttpError::bad_request(format!("{missing} is missing: send it with {given}, or leave out both headers"))
    };
    let (key, number) = match (header(headers, CLIENT)?, header(headers, NUMBER)?) {
        (None, None) => return Ok((ClientId::keyless(rand::random()), Number::FIRST)),
        (Some(_), None) => return Err(missing(NUMBER, CLIENT)),
        (None, Some(_)) => return Err(missing(CLIENT, NUMBER)),
        (Some(key), Some(number)) => (key.parse::<ClientKey>(), number.parse::<u64>()),
    };
    let key = key.map_err(|error| HttpError::bad_request(format!("{CLIENT}: {error}")))?;
    let number = number.ok().filter(|number| (1..=COUNT_MAX).contains(number));
    let number = number
        .ok_or_else(|| HttpError::bad_request(format!("{NUMBER}: expected a whole number from 1 to {COUNT_MAX}")))?;
    Ok((key.client_id(), Number(number)))
}

/// Returns the value of a header, which may be repeated with the same value only.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, HttpError> {
    let mut values = headers.get_all(name).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.any(|other| other != value) {
        return Err(HttpError::bad_request(format!("{name}: the request has several of these headers, which differ")));
    }
    value.to_str().map(Some).map_err(|_| HttpError::bad_request(format!("{name}: not plain text")))
}
