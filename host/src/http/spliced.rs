//! JSON objects that end with a large value that exists as bytes. The value is sent without being copied or parsed.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use super::compress::AsItIs;
use super::error::HttpError;
use super::limits::COMPRESSED_BYTES_MAX;
use super::paced;

const CONTENT_TYPE_JSON: &str = "application/json";

/// Returns a response with the members of `object`, and one more with this name and value. `object` must have a member, and `value` must be JSON.
pub(super) fn response<T: Serialize>(object: &T, name: &str, value: Bytes) -> Result<Response, HttpError> {
    let mut head = serde_json::to_string(object).map_err(|error| HttpError::host_fault(error.to_string()))?;
    head.pop();
    head.push_str(",\"");
    head.push_str(name);
    head.push_str("\":");
    let length = head.len() + value.len() + 1;
    let is_large = length > COMPRESSED_BYTES_MAX;
    let parts = [Bytes::from(head), value, Bytes::from_static(b"}")];
    let headers = [(header::CONTENT_TYPE, CONTENT_TYPE_JSON.to_owned()), (header::CONTENT_LENGTH, length.to_string())];
    let mut response = (headers, paced::body(parts)).into_response();
    if is_large {
        response.extensions_mut().insert(AsItIs);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_value_stands_last_as_it_is() {
        #[derive(Serialize)]
        struct Object {
            a: u8,
        }
        let response = response(&Object { a: 1 }, "view", Bytes::from_static(b"[1, 2]")).unwrap();
        let length = response.headers()[header::CONTENT_LENGTH].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(&body[..], b"{\"a\":1,\"view\":[1, 2]}");
        assert_eq!(length, body.len().to_string());
    }
}
