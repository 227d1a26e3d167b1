//! The choice of answers that are compressed: those that end, and are not too large.

use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};

/// Marks a response that must not be compressed: it is sent as events happen, and a compressor would hold them back; or it is so large that
/// compression would take too long.
#[derive(Clone, Copy, Debug)]
pub(super) struct AsItIs;

/// Compresses answers, except those that are [`AsItIs`].
pub(super) fn layer() -> CompressionLayer<impl Predicate> {
    let is_compressed =
        |_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions| extensions.get::<AsItIs>().is_none();
    CompressionLayer::new().compress_when(DefaultPredicate::new().and(is_compressed))
}
