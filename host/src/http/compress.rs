//! The choice of answers that are compressed: those that end, and are not too large. Large answers that never change are compressed once.

use std::io::{self, Write};

use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};

use super::extract::lists;
use super::limits::COMPRESSED_PORTION_BYTES;
use crate::background;

/// The level at which Brotli is both smaller than gzip and about as fast.
const BROTLI_LEVEL: u32 = 5;

/// The base-2 logarithm of the window in which Brotli finds repetitions.
const BROTLI_WINDOW_BITS: u32 = 22;

/// The size of Brotli's output buffer in bytes.
const BROTLI_BUFFER_BYTES: usize = 64 * 1024;

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

/// A way to compress an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Encoding {
    Brotli,
    Gzip,
}

impl Encoding {
    /// Returns the best encoding that a request accepts; `None` if it accepts only plain bytes.
    pub(super) fn accepted(request: &HeaderMap) -> Option<Self> {
        let mut known = [Self::Brotli, Self::Gzip].into_iter();
        known.find(|encoding| lists(request, header::ACCEPT_ENCODING, encoding.name()))
    }

    /// Returns the name of the encoding in headers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// Returns these bytes, compressed. It may take a second, so it belongs on a thread that may block.
    pub(super) fn compress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Brotli => {
                let (level, window) = (BROTLI_LEVEL, BROTLI_WINDOW_BITS);
                let mut encoder = CompressorWriter::new(Vec::new(), BROTLI_BUFFER_BYTES, level, window);
                write_in_portions(&mut encoder, bytes)?;
                Ok(encoder.into_inner())
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                write_in_portions(&mut encoder, bytes)?;
                encoder.finish()
            }
        }
    }
}

/// Writes all bytes, a portion at a time, so that other work in the background takes turns with this.
fn write_in_portions(encoder: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    for portion in bytes.chunks(COMPRESSED_PORTION_BYTES) {
        let _slot = background::slot_blocking();
        encoder.write_all(portion)?;
    }
    Ok(())
}
