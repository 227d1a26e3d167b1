//! Components over HTTP, for pages that run them. The files never change, so each is read and compressed once, and its bytes are shared.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use reapply_journal::Journal;
use reapply_machine::Plan;
use reapply_sync::Digest;

use super::compress::Encoding;
use super::error::HttpError;
use super::extract::FilePath;
use super::kept::{FileKind, FileName};
use super::state::HttpState;
use super::{paced, policy};

/// Handles `GET /components/{digest}.wasm`, and `.json` with the plan by which a page starts the component. Both never change.
pub async fn component(
    State(served): State<HttpState>,
    FilePath(file): FilePath,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let unknown =
        || HttpError::not_found("a component is named by its digest: /components/{64 hex digits}.wasm or .json");
    let (digest, extension) = file.split_once('.').ok_or_else(unknown)?;
    let digest: Digest = digest.parse().map_err(|_| unknown())?;
    let (kind, content_type) = match extension {
        "wasm" => (FileKind::Component, "application/wasm"),
        "json" => (FileKind::Plan, "application/json"),
        _ => return Err(unknown()),
    };
    let encoding = Encoding::accepted(&headers);
    let name = FileName { digest, kind, encoding };
    let body = served.components.get(name, make(Arc::clone(&served.logs.journal), name)).await?;
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CACHE_CONTROL, policy::IMMUTABLE.to_owned()),
        (header::ETAG, format!("\"{digest}\"")),
        (header::VARY, "accept-encoding".to_owned()),
        (header::CONTENT_LENGTH, body.len().to_string()),
    ];
    let mut response = (headers, paced::body([body])).into_response();
    if let Some(encoding) = encoding {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
    }
    Ok(response)
}

/// Makes a file of a stored component, on a thread that may block.
async fn make(journal: Arc<dyn Journal>, FileName { digest, kind, encoding }: FileName) -> Result<Bytes, HttpError> {
    let component = journal.component(digest).await?;
    let component = component.ok_or_else(|| HttpError::not_found(format!("no component has the digest {digest}")))?;
    let made = tokio::task::spawn_blocking(move || {
        let plain = match kind {
            FileKind::Component => component.bytes,
            FileKind::Plan => plan(&component.bytes)?,
        };
        let Some(encoding) = encoding else { return Ok(plain) };
        encoding.compress(&plain).map(Bytes::from).map_err(|error| HttpError::host_fault(error.to_string()))
    });
    made.await.map_err(|error| HttpError::host_fault(error.to_string()))?
}

/// Returns the plan of a stored component. Components that earlier versions deployed may not have one.
fn plan(component: &Bytes) -> Result<Bytes, HttpError> {
    let plan = Plan::of(component).map_err(|error| HttpError::not_found(error.to_string()))?;
    serde_json::to_vec(&plan).map(Bytes::from).map_err(|error| HttpError::host_fault(error.to_string()))
}
