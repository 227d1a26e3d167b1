//! The rights of an answer in a browser: a content security policy for each kind of answer.
//!
//! Text of a machine or a participant is never meant as a document. If it is opened as one anyway, it can load and run nothing.
//! Pages given with `--pages` are the operator's own, and so is their policy; the book says what the client needs.

use axum::http::{HeaderName, HeaderValue, header};
use tower_http::set_header::SetResponseHeaderLayer;

/// The `Cache-Control` of content that never changes. A year counts as forever.
pub(super) const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The policy for data, which can load and run nothing.
pub(super) const DATA: &str = "default-src 'none'; frame-ancestors 'none'";

/// The policy for the client: as a worker of its own, it may start machines and connect to hosts.
pub(super) const CLIENT: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src *";

/// The policy for the host's own page: its script and style are files of this host.
pub(super) const PAGE: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The policy for missing pages: people get a page with a style of its own.
pub(super) const MISSING: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";

/// Sends `policy` with every answer that has none yet.
pub(super) fn layer(policy: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))
}

/// Makes browsers treat every answer as its content type says.
pub(super) fn as_declared() -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    )
}
