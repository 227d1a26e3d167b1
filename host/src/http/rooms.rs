//! Rooms over HTTP: list, see, begin, submit.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use reapply_sync::limits::{COUNT_MAX, OPTIONS_BYTES_MAX};
use reapply_sync::{
    ApplyError, ClientId, ClientKey, CodecError, Digest, Machine, Name, Number, Rejection, RoomId, Seq,
};
use serde::Deserialize;
use serde_json::json;

use super::body::Body;
use super::error::HttpError;
use super::extract::{Asked, RoomPath};
use super::limits::{BODY_BYTES_MAX, ROOMS_LISTED_MAX};
use super::{Served, room_id, spliced};
use crate::clock::{parse_rfc3339, rfc3339};
use crate::machine::{Build, Lane, MachinesError};
use crate::room::{Moment, OpenRoomError, Place, Room, SubmitOnce, Verdict, state_at};

/// Asks for a moment of a room.
#[derive(Debug, Default, Deserialize)]
pub struct At {
    /// The last event in the state that is asked for; the newest if it is left out.
    seq: Option<u64>,
    /// Or its time.
    time: Option<String>,
}

/// Asks for some of the rooms.
#[derive(Debug, Deserialize)]
pub struct Which {
    /// Only those of this machine.
    machine: Option<String>,
    /// Only those after this one, as `machine/room`.
    after: Option<String>,
}

/// The kind of what comes while the room's queue is full.
const BUSY: &str = "busy";

/// Answers `GET /rooms`.
pub async fn list(State(served): State<Served>, Asked(which): Asked<Which>) -> Result<Response, HttpError> {
    let machine = which.machine.as_deref().map(str::parse::<Name>).transpose()?;
    let after = which.after.as_deref().map(|after| match after.split_once('/') {
        Some((machine, room)) => room_id(machine, room),
        None => Err(HttpError::bad_request("`after` names a room as machine/room")),
    });
    let after = after.transpose()?;
    let journal = served.rooms.machines().journal();
    let rooms = journal.rooms(machine.as_ref(), after.as_ref(), ROOMS_LISTED_MAX).await?;
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
            })
        })
        .collect();
    Ok(Json(json!({ "rooms": rooms })).into_response())
}

/// A room as JSON: now, or as it was.
pub(super) async fn show(served: &Served, id: &RoomId, at: At) -> Result<Response, HttpError> {
    let moment = match place(at.seq, at.time.as_deref())? {
        Place::Head => now(served, id).await?,
        place => state_at(served.rooms.machines(), id, place).await?,
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

/// Answers `PUT /rooms/{machine}/{room}`: begins a room with options of its own.
pub async fn create(
    State(served): State<Served>,
    RoomPath(id): RoomPath,
    body: Body<BODY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    let options = body.text()?.to_owned();
    if options.len() > OPTIONS_BYTES_MAX {
        let message = format!("the options have {} bytes; the limit is {OPTIONS_BYTES_MAX}", options.len());
        return Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message));
    }
    served.rooms.create(&id, options).await?;
    Ok((StatusCode::CREATED, Json(json!({ "machine": id.machine, "room": id.room }))).into_response())
}

/// Answers `POST /rooms/{machine}/{room}`: submits a transition, and waits until it is durable or rejected.
pub async fn submit(
    State(served): State<Served>,
    RoomPath(id): RoomPath,
    headers: HeaderMap,
    body: Body<BODY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    let client = match header(&headers, "reapply-client")? {
        Some(key) => {
            let key = key.parse::<ClientKey>();
            key.map_err(|error| HttpError::bad_request(format!("reapply-client: {error}")))?.client_id()
        }
        None => ClientId::keyless(rand::random()),
    };
    let number = match header(&headers, "reapply-number")? {
        Some(number) => {
            number.parse::<u64>().ok().filter(|number| (1..=COUNT_MAX).contains(number)).ok_or_else(|| {
                HttpError::bad_request(format!("reapply-number: expected a whole number from 1 to {COUNT_MAX}"))
            })?
        }
        None => 1,
    };
    let json = body.text()?;
    loop {
        // Before the room is entered, so that nonsense does not begin one.
        let (digest, transition) = match encode(&served, &id, json).await? {
            Ok(encoded) => encoded,
            Err(why) => {
                // A room that has not begun has nothing to count.
                if let Ok(room) = served.rooms.find(&id).await {
                    room.count_rejection(&client.anonymous_author(), why.kind());
                }
                return Err(why.into());
            }
        };
        let room = served.rooms.enter(&id).await?;
        let (author, number) = (client.anonymous_author(), Number(number));
        match room.submit_once(SubmitOnce { author, client, number, digest, transition }).await {
            Ok(Verdict::Upgraded) | Err(_) => continue,
            Ok(Verdict::Busy) => {
                room.count_rejection(&client.anonymous_author(), BUSY);
                return answer(Verdict::Busy);
            }
            Ok(verdict) => return answer(verdict),
        }
    }
}

/// The place in a log that a request names, by a seq or by a time.
pub(super) fn place(seq: Option<u64>, time: Option<&str>) -> Result<Place, HttpError> {
    match (seq, time) {
        (None, None) => Ok(Place::Head),
        (Some(seq), None) => Ok(Place::Seq(Seq(seq))),
        (None, Some(time)) => match parse_rfc3339(time) {
            Some(time) => Ok(Place::Time(time)),
            None => Err(HttpError::bad_request("`time` is a time such as 2026-01-31T12:00:00Z")),
        },
        (Some(_), Some(_)) => Err(HttpError::bad_request("give either `seq` or `time`")),
    }
}

async fn now(served: &Served, id: &RoomId) -> Result<Moment, HttpError> {
    loop {
        let room: Room = served.rooms.find(id).await?;
        if let Ok(viewed) = room.view().await {
            let view = viewed.map_err(HttpError::from)?;
            return Ok(Moment { seq: view.seq, time: view.time, digest: view.digest, view: view.json });
        }
    }
}

/// The machine's bytes for a transition's JSON, and the build that made them. Made in an instance of its own, so that odd JSON can hurt no room.
async fn encode(served: &Served, id: &RoomId, json: &str) -> Result<Result<(Digest, Bytes), Rejection>, HttpError> {
    let build = build(served, id).await?;
    let (digest, json) = (build.digest(), json.to_owned());
    let encode = move || build.instantiate()?.encode(&json);
    match served.rooms.machines().pool().run(Lane::Aside, encode).await {
        Ok(transition) => Ok(Ok((digest, transition))),
        Err(CodecError::Refused(why)) => Ok(Err(Rejection::Malformed(why))),
        // The machine broke off on what it was given, in an instance of its own: the sender's fault, or the machine's, and not the host's.
        Err(CodecError::Fault(fault)) => Ok(Err(ApplyError::Fault(fault).into())),
    }
}

/// The build that a room runs; that one which it would run, where it has not begun.
pub(super) async fn build(served: &Served, id: &RoomId) -> Result<Build, HttpError> {
    let machines = served.rooms.machines();
    let digest = match machines.journal().room(id).await? {
        Some(record) => record.digest,
        None => {
            let current = machines.current(&id.machine).await?;
            current.ok_or_else(|| OpenRoomError::NoSuchMachine(id.machine.clone()))?.digest
        }
    };
    let build = machines.build(digest).await?;
    build.ok_or_else(|| MachinesError::NotStored(digest).into())
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
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, HttpError> {
    let value = headers.get(name).map(|value| value.to_str()).transpose();
    value.map_err(|_| HttpError::bad_request(format!("{name}: not plain text")))
}
