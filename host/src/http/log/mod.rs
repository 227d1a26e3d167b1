//! A room's log over HTTP: as JSON lines or a table, filtered, and followed live.
//!
//! ```text
//!  journal ──records──▶ log::LogReader ──proved batches──▶ line::Rendering ──▶ the response's body
//!                            ▲ again, when there is more
//!                       room::Follower
//! ```
//!
//! Everything is read from the journal. So events are shown only once they are durable, and reading neither wakes a room nor keeps it awake.

mod line;
mod query;
mod stream;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream as streams};
use reapply_journal::RoomRecord;
use reapply_sync::{RoomId, Seq};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior};

use self::query::{Format, Query};
use self::stream::{LogLines, Next};
use super::compress::AsItIs;
use super::error::HttpError;
use super::extract::{ApiQuery, RoomPath};
use super::limits::{LOG_FOLLOW_INTERVAL, LOG_FOLLOWERS_MAX};
use super::state::HttpState;
use crate::log::{LogReader, Logs};
use crate::room::{Follower, LogPosition, OpenRoomError, PastError, find, seq_at};

pub use self::query::QueryError;

/// The response header with the event after which a trimmed log begins.
pub const LOG_BEGINS: &str = "reapply-log-begins";

/// Handles `GET /rooms/{machine}/{room}/log`. `Query::parse` documents its parameters.
pub async fn log(
    State(served): State<HttpState>,
    RoomPath(id): RoomPath,
    ApiQuery(parameters): ApiQuery<Vec<(String, String)>>,
) -> Result<Response, HttpError> {
    let query = Query::parse(&parameters)?;
    let record = find(&served.logs, &id).await?;
    let format = query.format;
    let is_followed = query.follow;
    // Before the first read, so that no later event is missed.
    let following = is_followed.then(|| Following::begin(&served, &id)).transpose()?;
    let (begins, _) = record.start();
    let after = match query.after {
        Some(after) => after,
        None => first(&served.logs, &record, &query).await?,
    };
    let digest = served.logs.journal.build_at(&id, after).await?;
    let reader = LogReader::near(&served.logs.journal, &record, after).await.map_err(OpenRoomError::from)?;
    let mut reader = LogLines::new(served.logs.clone(), reader, query, after, digest);
    // The first portion is read before the answer begins, so that a failure there becomes an error with a status.
    let first = reader.next().await?;
    let heading = streams::once(std::future::ready(Ok(line::heading(format))));
    let lines = streams::try_unfold(Reading { reader, read: Some(first), following }, Reading::go_on);
    let mut response =
        ([(header::CONTENT_TYPE, format.content_type())], Body::from_stream(heading.chain(lines))).into_response();
    if begins > Seq(0) {
        response.headers_mut().insert(LOG_BEGINS, begins.0.into());
    }
    if is_followed {
        response.extensions_mut().insert(AsItIs);
    }
    Ok(response)
}

/// Returns an event before which nothing matches the query. Times never decrease, so the events up to it need not be read.
async fn first(logs: &Logs, record: &RoomRecord, query: &Query) -> Result<Seq, HttpError> {
    let (begins, _) = record.start();
    let Some(time) = query.filter.begins_after() else { return Ok(begins) };
    match seq_at(logs, record, LogPosition::Time(time)).await {
        Ok(seq) => Ok(seq),
        Err(PastError::Unborn { .. } | PastError::Before { .. }) => Ok(begins),
        Err(error) => Err(error.into()),
    }
}

/// The parameters of a request for counts of rejections.
#[derive(Debug, Deserialize)]
pub struct Counts {
    /// The form of the answer.
    format: Option<String>,
}

/// Handles `GET /rooms/{machine}/{room}/rejections`. The answer has the forms of a log.
pub async fn rejections(
    State(served): State<HttpState>,
    RoomPath(id): RoomPath,
    ApiQuery(counts): ApiQuery<Counts>,
) -> Result<Response, HttpError> {
    let format = counts.format.as_deref().map(Format::parse).transpose()?.unwrap_or_default();
    find(&served.logs, &id).await?;
    let rejections = served.rooms.rejections(&id).await?;
    Ok(([(header::CONTENT_TYPE, format.content_type())], line::render_rejections(&rejections, format)).into_response())
}

/// A log that is being sent.
struct Reading {
    reader: LogLines,
    /// The portion that was read and not sent yet.
    read: Option<Next>,
    following: Option<Following>,
}

impl Reading {
    /// Returns the next part of the body and the rest; `None` at its end.
    async fn go_on(mut self) -> Result<Option<(Bytes, Self)>, HttpError> {
        loop {
            let next = match self.read.take() {
                Some(read) => read,
                None => self.reader.next().await?,
            };
            let is_more = match (next, &mut self.following) {
                (Next::Lines(lines), _) => return Ok(Some((lines, self))),
                (Next::CaughtUp, Some(following)) => following.wait(self.reader.after()).await,
                (Next::CaughtUp | Next::Over, _) => false,
            };
            if !is_more {
                return Ok(None);
            }
        }
    }
}

/// The part of a request that follows the log.
struct Following {
    follower: Follower,
    /// The pace of reads, so that a busy room is read in larger parts.
    pace: Interval,
    _permit: OwnedSemaphorePermit,
}

impl Following {
    fn begin(served: &HttpState, id: &RoomId) -> Result<Self, HttpError> {
        let permit = Arc::clone(&served.followers).try_acquire_owned().map_err(|_| {
            HttpError::unavailable(format!("{LOG_FOLLOWERS_MAX} logs are followed, which is the host's limit"))
        })?;
        let mut pace = tokio::time::interval(LOG_FOLLOW_INTERVAL);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { follower: served.rooms.follow(id), pace, _permit: permit })
    }

    /// Waits until there may be more events. Returns `false` when there will be none.
    async fn wait(&mut self, after: Seq) -> bool {
        let is_more = self.follower.wait(after).await;
        if is_more {
            self.pace.tick().await;
        }
        is_more
    }
}
