//! What handlers take from a request. Whatever is wrong with it is answered as all errors are: as JSON, with the limit or the rule.

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::error::HttpError;
use super::limits::DRAINED_BYTES_MAX;

/// A request's body, of at most `BYTES_MAX` bytes.
#[derive(Clone, Debug)]
pub struct Body<const BYTES_MAX: usize>(pub Bytes);

impl<const BYTES_MAX: usize> Body<BYTES_MAX> {
    /// The body as text.
    ///
    /// # Errors
    ///
    /// It is not UTF-8.
    pub fn text(&self) -> Result<&str, HttpError> {
        std::str::from_utf8(&self.0).map_err(|_| HttpError::bad_request("the body is no UTF-8"))
    }
}

impl<S: Send + Sync, const BYTES_MAX: usize> FromRequest<S> for Body<BYTES_MAX> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let too_large = match announced {
            Some(bytes) => format!("the body has {bytes} bytes; the limit is {BYTES_MAX}"),
            None => format!("the body has more bytes than the limit, which is {BYTES_MAX}"),
        };
        let mut chunks = request.into_body().into_data_stream();
        let mut body = Vec::new();
        let mut bytes = 0;
        // What is over the limit is read and dropped for a while: one who is still sending does not hear the answer.
        while bytes <= BYTES_MAX + DRAINED_BYTES_MAX
            && let Some(chunk) = chunks.next().await
        {
            let chunk = chunk.map_err(|error| HttpError::bad_request(format!("the body broke off: {error}")))?;
            bytes += chunk.len();
            if bytes <= BYTES_MAX {
                body.extend_from_slice(&chunk);
            }
        }
        if bytes <= BYTES_MAX {
            Ok(Self(body.into()))
        } else {
            Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", too_large))
        }
    }
}

/// What stands in a request's query.
#[derive(Clone, Debug)]
pub struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|rejection| HttpError::bad_request(rejection.body_text()))
    }
}
