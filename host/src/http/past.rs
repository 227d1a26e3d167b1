//! Past states for pages: the records that a page needs to replay a room up to a moment, with the same builds.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use reapply_journal::RoomRecord;
use reapply_sync::limits::PAST_BYTES_MAX;
use reapply_sync::{Origin, Past, PastRecord, Seq};
use serde::Deserialize;

use super::error::HttpError;
use super::extract::{ApiQuery, RoomPath};
use super::rooms::place;
use super::state::HttpState;
use crate::room::seq_at;

/// The parameters of a request for a moment.
#[derive(Debug, Default, Deserialize)]
pub struct Asking {
    /// The last event in the moment.
    seq: Option<u64>,
    /// The time of that event, instead of `seq`.
    time: Option<String>,
    /// The last event of a state that the page already has.
    held: Option<u64>,
}

/// Handles `GET /rooms/{machine}/{room}/past`: returns a [`Past`], or the first part of it if it is too large for one answer.
pub async fn past(
    State(served): State<HttpState>,
    RoomPath(id): RoomPath,
    ApiQuery(asking): ApiQuery<Asking>,
) -> Result<Response, HttpError> {
    let record = served.rooms.settled(&id).await?;
    let seq = seq_at(&served.logs, &record, place(asking.seq, asking.time.as_deref())?).await?;
    let origin = origin(&served, &record, seq, asking.held.map(Seq)).await?;
    let mut past = Past { log: record.log, seq, head: record.head, origin, records: Vec::new() };
    if past.from() < seq {
        let records = served.logs.journal.read(&id, past.from(), PAST_BYTES_MAX).await?;
        let needed = records.into_iter().take_while(|record| record.expected < seq);
        past.records = needed
            .map(|record| PastRecord { expected: record.expected, last: record.last, body: record.body })
            .collect();
    }
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], past.encode()).into_response())
}

/// Returns the nearest place before `seq` at which a replay can begin.
async fn origin(served: &HttpState, record: &RoomRecord, seq: Seq, held: Option<Seq>) -> Result<Origin, HttpError> {
    let snapshot = served.logs.journal.snapshot(&record.room, Some(seq)).await?;
    let nearest = snapshot.as_ref().map_or(record.start().0, |snapshot| snapshot.seq);
    Ok(match (held.filter(|held| (nearest..=seq).contains(held)), snapshot) {
        (Some(held), _) => Origin::Held(held),
        (None, Some(snapshot)) => snapshot.into(),
        (None, None) => Origin::Genesis(record.genesis.clone()),
    })
}
