//! The file of an export, as bytes: a preamble, then sections, each framed and hashed.
//!
//! ```text
//!  preamble   magic, 8 bytes │ format, u32
//!  section    kind, u8 │ index, u32 │ first seq, u64 │ last seq, u64 │ bytes of content, u32 │ bytes stored, u32
//!             │ BLAKE3 of all before it in the section and of what is stored, 32 bytes │ stored: zstd of the content
//!  section    ...
//! ```
//!
//! Numbers are little-endian. The index counts sections from 0, so a missing, repeated or moved section is found. The
//! contents of sections are in [`super::part`]; the book's chapter on exports documents them for other tools.

use std::fmt;

use reapply_sync::{Digest, Seq};

use super::limits::SECTION_BYTES_MAX;

/// The suffix of the names of exports.
pub const SUFFIX: &str = "reapply";

/// The first bytes of every export. A transfer that treats it as text changes them.
pub(super) const MAGIC: [u8; 8] = *b"\x89RPY\r\n\x1a\n";

/// The format that this version writes, and the only one that it reads: format 1 had client ids of 64 bits.
pub(super) const FORMAT: u32 = 2;

/// The number of bytes of the preamble.
pub(super) const PREAMBLE_BYTES: usize = MAGIC.len() + 4;

/// The number of bytes of a frame that its hash covers.
const HASHED_BYTES: usize = 29;

/// The number of bytes of a section before its stored bytes.
pub(super) const FRAME_BYTES: usize = HASHED_BYTES + 32;

/// The kind of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The log's identity, and its end. The first section.
    Header,
    /// The bytes of a component. Comes before the first event that it applies, and again before a later one if it is no longer at hand there.
    Component,
    /// A snapshot. Comes right after the event of its state.
    Snapshot,
    /// Records, one following on the other.
    Records,
    /// The counts of everything. The last section.
    End,
    /// The reason why the writer could not continue, in place of all further sections.
    Broken,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Header, Self::Component, Self::Snapshot, Self::Records, Self::End, Self::Broken];

    fn tag(self) -> u8 {
        match self {
            Self::Header => 1,
            Self::Component => 2,
            Self::Snapshot => 3,
            Self::Records => 4,
            Self::End => 5,
            Self::Broken => 6,
        }
    }

    fn of_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.tag() == tag)
    }
}

/// The seqs of a section: for records the first and the last event, for a snapshot its own seq twice; else 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first seq.
    pub first: Seq,
    /// The last seq.
    pub last: Seq,
}

impl Span {
    /// Creates the seqs of a section with a single one.
    #[must_use]
    pub fn at(seq: Seq) -> Self {
        Self { first: seq, last: seq }
    }
}

/// The part of a section before its stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) index: u32,
    pub(super) span: Span,
    pub(super) content_bytes: u32,
    pub(super) stored_bytes: u32,
    pub(super) hash: Digest,
}

impl Frame {
    /// Returns the frame of a section that stores `stored`.
    pub(super) fn new(kind: Kind, index: u32, span: Span, content_bytes: u32, stored: &[u8]) -> Self {
        // The stored bytes are limited by the section's content, which is far smaller.
        let stored_bytes = u32::try_from(stored.len()).unwrap_or(u32::MAX);
        let mut frame = Self { kind, index, span, content_bytes, stored_bytes, hash: Digest([0; 32]) };
        frame.hash = frame.hash_with(stored);
        frame
    }

    pub(super) fn encode(&self) -> [u8; FRAME_BYTES] {
        let mut bytes = [0; FRAME_BYTES];
        bytes[..HASHED_BYTES].copy_from_slice(&self.hashed());
        bytes[HASHED_BYTES..].copy_from_slice(&self.hash.0);
        bytes
    }

    /// Reads a frame, or returns what is wrong with it.
    pub(super) fn decode(bytes: &[u8; FRAME_BYTES]) -> Result<Self, String> {
        let (tag, rest) = (bytes[0], &bytes[1..]);
        let Some(kind) = Kind::of_tag(tag) else { return Err(format!("{tag} is not a kind of section")) };
        let (index, rest) = take(rest);
        let (first, rest) = take(rest);
        let (last, rest) = take(rest);
        let (content_bytes, rest) = take(rest);
        let (stored_bytes, rest) = take(rest);
        let (hash, _) = take(rest);
        let frame = Self {
            kind,
            index: u32::from_le_bytes(index),
            span: Span { first: Seq(u64::from_le_bytes(first)), last: Seq(u64::from_le_bytes(last)) },
            content_bytes: u32::from_le_bytes(content_bytes),
            stored_bytes: u32::from_le_bytes(stored_bytes),
            hash: Digest(hash),
        };
        let bytes = frame.content_bytes.max(frame.stored_bytes);
        if bytes as usize > SECTION_BYTES_MAX {
            return Err(format!("it claims {bytes} bytes; the limit is {SECTION_BYTES_MAX}"));
        }
        Ok(frame)
    }

    /// Returns whether this is the frame of `stored`, unchanged.
    pub(super) fn matches(&self, stored: &[u8]) -> bool {
        self.hash_with(stored) == self.hash
    }

    fn hash_with(&self, stored: &[u8]) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.hashed());
        hasher.update(stored);
        Digest(*hasher.finalize().as_bytes())
    }

    fn hashed(&self) -> [u8; HASHED_BYTES] {
        let mut bytes = [0; HASHED_BYTES];
        bytes[0] = self.kind.tag();
        bytes[1..5].copy_from_slice(&self.index.to_le_bytes());
        bytes[5..13].copy_from_slice(&self.span.first.0.to_le_bytes());
        bytes[13..21].copy_from_slice(&self.span.last.0.to_le_bytes());
        bytes[21..25].copy_from_slice(&self.content_bytes.to_le_bytes());
        bytes[25..].copy_from_slice(&self.stored_bytes.to_le_bytes());
        bytes
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Component => "component",
            Self::Snapshot => "snapshot",
            Self::Records => "records",
            Self::End => "end",
            Self::Broken => "broken off",
        })
    }
}

/// Returns the first `N` bytes, which the frame's size guarantees, and the rest.
fn take<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    match bytes.split_first_chunk() {
        Some((first, rest)) => (*first, rest),
        None => ([0; N], &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_and_no_bit_of_it_or_of_what_it_frames_can_change() {
        let stored = [1, 2, 3];
        let frame = Frame::new(Kind::Records, 7, Span { first: Seq(5), last: Seq(9) }, 40, &stored);
        let bytes = frame.encode();
        assert_eq!(Frame::decode(&bytes), Ok(frame));
        assert!(frame.matches(&stored));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::decode(&flipped).is_err() || !Frame::decode(&flipped).unwrap().matches(&stored), "{bit}");
        }
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!frame.matches(&flipped), "{bit}");
        }
    }

    #[test]
    fn a_frame_that_claims_more_than_the_limit_is_refused_before_it_is_read() {
        let huge = u32::try_from(SECTION_BYTES_MAX).unwrap() + 1;
        let bytes = Frame::new(Kind::Snapshot, 0, Span::default(), huge, &[]).encode();
        assert!(Frame::decode(&bytes).unwrap_err().contains("the limit is"), "{bytes:?}");
    }
}
