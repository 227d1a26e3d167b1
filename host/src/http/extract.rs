//! The parts of a request that handlers take. Errors in them have the usual form: JSON, with the limit or the rule.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use reapply_sync::{Name, RoomId};
use serde::de::DeserializeOwned;

use super::error::HttpError;

/// The room in a path.
#[derive(Clone, Debug)]
pub struct RoomPath(pub RoomId);

impl<S: Send + Sync> FromRequestParts<S> for RoomPath {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let (machine, room) = path::<(String, String), S>(parts, state).await?;
        Ok(Self(RoomId { machine: machine.parse()?, room: room.parse()? }))
    }
}

/// The machine in a path.
#[derive(Clone, Debug)]
pub struct MachinePath(pub Name);

impl<S: Send + Sync> FromRequestParts<S> for MachinePath {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        Ok(Self(path::<String, S>(parts, state).await?.parse()?))
    }
}

/// The file in a path.
#[derive(Clone, Debug)]
pub struct FilePath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for FilePath {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        path(parts, state).await.map(Self)
    }
}

async fn path<T: DeserializeOwned + Send, S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<T, HttpError> {
    let path = Path::from_request_parts(parts, state).await;
    path.map(|Path(path)| path).map_err(|rejection| HttpError::bad_request(rejection.body_text()))
}

/// The parameters in a request's query.
#[derive(Clone, Debug)]
pub struct ApiQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|rejection| HttpError::bad_request(rejection.body_text()))
    }
}

/// Returns whether a list header contains this item. A weak tag counts as the tag, and an item with `q=0` does not count.
pub(super) fn lists(headers: &HeaderMap, name: HeaderName, item: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|entry| {
        let (found, quality) = entry.split_once(';').unwrap_or((entry, ""));
        let refused = quality.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        found.trim().trim_start_matches("W/") == item && !refused
    })
}
