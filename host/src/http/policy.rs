//! What browsers may do with an answer of this host: a content security policy for each kind of answer.
//!
//! Nothing that a machine or a participant has written is ever a document here. Where it is opened as one all the same, it can load and run nothing.
//! Pages given with `--pages` are the operator's own, and so is their policy; the book says what the client needs.

use axum::http::{HeaderName, HeaderValue, header};
use tower_http::set_header::SetResponseHeaderLayer;

/// The `Cache-Control` of what never changes: a year is as good as forever.
pub(super) const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// For data: it is shown and does nothing.
pub(super) const DATA: &str = "default-src 'none'; frame-ancestors 'none'";

/// For the client: where it runs as a worker of its own, it may start machines and reach hosts.
pub(super) const CLIENT: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src *";

/// For the host's own page: its script and style are files of this host.
pub(super) const PAGE: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// For what is missing: people get a page with a style of its own.
pub(super) const MISSING: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";

/// Sends `policy` with every answer that has none yet.
pub(super) fn layer(policy: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))
}

/// Has browsers take every answer for what its content type says.
pub(super) fn as_declared() -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    )
}
