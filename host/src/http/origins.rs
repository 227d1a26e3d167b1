//! Pages of other sites: allows some of them to use the host, and tells the others why they may not.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use reapply_sync::Goodbye;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use tracing::warn;

use super::error::HttpError;
use super::guard::Guard;
use super::handshake;

/// Makes answers readable for pages of every origin, refusals included: a page must be able to read why it was refused. Preflights succeed for
/// every origin, since a page can only read the refusal of the request that follows.
pub(super) fn readable() -> CorsLayer {
    let headers = ["content-type", "authorization", "reapply-client", "reapply-number"];
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods([Method::GET, Method::PUT, Method::POST])
        .allow_headers(headers.map(HeaderName::from_static))
        .vary([header::ORIGIN])
}

/// Makes answers readable for pages of every origin, and cacheable, since they are the same for all origins.
pub(super) fn public() -> CorsLayer {
    CorsLayer::new().allow_origin(Any).vary([])
}

/// Refuses requests of pages whose origin is not allowed. Requests that do not come from a page have no origin.
pub(super) async fn refuse_foreign_pages(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if guard.refused(request.headers()).is_some() { refuse(request).await } else { next.run(request).await }
}

/// Refuses a page's request. A request for a WebSocket gets a `Goodbye`, since a page cannot read why a handshake failed.
async fn refuse(request: Request) -> Response {
    let [origin, host] = [header::ORIGIN, header::HOST].map(|name| text(request.headers(), &name));
    let path = request.uri().path();
    warn!(%origin, %host, path, "a page was refused: its origin is neither the host's own address nor allowed by --allow-origin");
    let message = format!(
        "pages of {origin} may not use this host, which was addressed as {host}: \
        start it with --allow-origin {origin}, or have the proxy in front of it pass on the Host header"
    );
    let error = HttpError::new(StatusCode::FORBIDDEN, "forbidden", message.clone());
    handshake::refuse(request, Goodbye::Refused { why: message, retry: true }, error).await
}

/// Returns a header's value as text of a bounded length.
fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    value.unwrap_or_default().chars().take(ORIGIN_CHARS_MAX).collect()
}

/// Maximum number of characters of a foreign `Origin` that appear in messages.
const ORIGIN_CHARS_MAX: usize = 200;
