//! The browser's client, which the binary contains: `GET /reapply.js` and the files that it loads.
//!
//! `/reapply.js` is requested each time and names its parts under a digest; browsers keep those. So a page that loads after an
//! upgrade never mixes two versions, and a page that loads again makes a single request.

use axum::Router;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::extract::lists;
use super::policy;

/// One file of the client.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The path of its URL.
    pub path: &'static str,
    /// The content type.
    pub kind: &'static str,
    /// The entity tag, with the quotes.
    pub etag: &'static str,
    /// Whether the path names this content forever.
    pub immutable: bool,
    /// The bytes.
    pub plain: &'static [u8],
    /// The bytes, compressed.
    pub gzip: &'static [u8],
}

/// The files of the client, which `build.rs` makes.
pub const ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Serves the client to pages of any origin.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        router.route(asset.path, get(move |headers: HeaderMap| async move { respond(asset, &headers) }))
    })
}

fn respond(asset: &'static Asset, request: &HeaderMap) -> Response {
    let cache = if asset.immutable { policy::IMMUTABLE } else { "no-cache" };
    let about = [
        (header::CACHE_CONTROL, cache),
        (header::ETAG, asset.etag),
        (header::VARY, "accept-encoding"),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    if lists(request, header::IF_NONE_MATCH, asset.etag) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    let kind = (header::CONTENT_TYPE, asset.kind);
    if lists(request, header::ACCEPT_ENCODING, "gzip") {
        (about, [kind, (header::CONTENT_ENCODING, "gzip")], asset.gzip).into_response()
    } else {
        (about, [kind], asset.plain).into_response()
    }
}
