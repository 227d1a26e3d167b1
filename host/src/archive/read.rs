//! Reads an export's sections. Each is proved by its hash before it is used.

use std::cmp::Ordering;
use std::fmt;
use std::io::{self, Read};

use reapply_sync::{Digest, Seq};
use serde::de::DeserializeOwned;
use zstd::bulk::Decompressor;

use super::format::{FORMAT, FRAME_BYTES, Frame, Kind, MAGIC, PREAMBLE_BYTES, Span};
use super::part::End;

/// A place in an export, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportPosition {
    /// The section, counted from 0.
    pub section: u32,
    /// The kind of the section, as far as it could be read.
    pub kind: Option<Kind>,
    /// The events of the section, as far as they could be read.
    pub span: Span,
    /// The last event of the records before it.
    pub after: Seq,
    /// Its first byte in the file.
    pub offset: u64,
}

/// The reasons why an export cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is something else.
    #[error("this is not an export of a room: it does not begin like one")]
    NotAnExport,
    /// A later version of Reapply wrote it.
    #[error("the export has the format {found}, and this version of Reapply knows up to {FORMAT}: use a newer one")]
    NewerFormat {
        /// The format of the file.
        found: u32,
    },
    /// An earlier version of Reapply wrote it, in a format that is no longer read.
    #[error(
        "the export has the format {found}, and this version of Reapply reads {FORMAT}: import it with the version that wrote it"
    )]
    OlderFormat {
        /// The format of the file.
        found: u32,
    },
    /// The file has changed since it was written.
    #[error("{place}: {what}")]
    Damaged {
        /// The place of the damage.
        place: ExportPosition,
        /// The description of the damage.
        what: String,
    },
    /// The file is unchanged, but the host that wrote it could not continue.
    #[error("the export ends after event {after}, where its host could not go on: {why}")]
    Broken {
        /// The last event in it.
        after: Seq,
        /// The host's reason.
        why: String,
    },
    /// The storage or the connection failed.
    #[error("reading failed at byte {offset}: {error}")]
    Io {
        /// The number of bytes that were read.
        offset: u64,
        /// The system's error.
        error: io::Error,
    },
}

/// One section, proved and decompressed.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) kind: Kind,
    pub(super) span: Span,
    pub(super) place: ExportPosition,
    pub(super) content: Vec<u8>,
}

impl Section {
    /// Decodes the content.
    pub(super) fn decode<T: DeserializeOwned>(&self) -> Result<T, ReadError> {
        match postcard::take_from_bytes(&self.content) {
            Ok((content, [])) => Ok(content),
            Ok((_, rest)) => Err(self.damaged(format!("{} bytes follow its content", rest.len()))),
            Err(error) => Err(self.damaged(format!("its content does not decode: {error}"))),
        }
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> ReadError {
        ReadError::Damaged { place: self.place, what: what.into() }
    }
}

/// A reader of sections in order, which holds one at a time.
pub(super) struct Reader<R> {
    from: R,
    decompressor: Decompressor<'static>,
    offset: u64,
    index: u32,
    hashes: blake3::Hasher,
    /// The last event of the records so far.
    after: Seq,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the preamble.
    pub(super) fn new(mut from: R) -> Result<Self, ReadError> {
        let mut preamble = Vec::new();
        read(&mut from, PREAMBLE_BYTES, 0, &mut preamble)?;
        let (magic, format) = preamble.split_at(MAGIC.len().min(preamble.len()));
        if magic != MAGIC {
            return Err(ReadError::NotAnExport);
        }
        let offset = preamble.len() as u64;
        let format = format.try_into().map(u32::from_le_bytes).map_err(|_| broken_off(0, offset))?;
        match format.cmp(&FORMAT) {
            Ordering::Less => return Err(ReadError::OlderFormat { found: format }),
            Ordering::Equal => {}
            Ordering::Greater => return Err(ReadError::NewerFormat { found: format }),
        }
        let decompressor = Decompressor::new().map_err(|error| ReadError::Io { offset, error })?;
        Ok(Self { from, decompressor, offset, index: 0, hashes: blake3::Hasher::new(), after: Seq(0), ended: false })
    }

    /// Returns the number of bytes that were read.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the next section; `None` after the last one, which must end the file.
    pub(super) fn next_section(&mut self) -> Result<Option<Section>, ReadError> {
        let mut place = ExportPosition {
            section: self.index,
            kind: None,
            span: Span::default(),
            after: self.after,
            offset: self.offset,
        };
        let mut frame = Vec::with_capacity(FRAME_BYTES);
        read(&mut self.from, FRAME_BYTES, self.offset, &mut frame)?;
        if self.ended {
            let what = "the file continues after its last section".to_owned();
            return if frame.is_empty() { Ok(None) } else { Err(ReadError::Damaged { place, what }) };
        }
        let length = frame.len();
        let Ok(frame) = <[u8; FRAME_BYTES]>::try_from(frame) else {
            let what = format!("the file breaks off at byte {}", self.offset + length as u64);
            return Err(ReadError::Damaged { place, what });
        };
        let frame = Frame::decode(&frame).map_err(|what| ReadError::Damaged { place, what })?;
        (place.kind, place.span) = (Some(frame.kind), frame.span);
        let damaged = |what: String| ReadError::Damaged { place, what };
        let mut stored = Vec::new();
        read(&mut self.from, frame.stored_bytes as usize, self.offset + FRAME_BYTES as u64, &mut stored)?;
        let end = self.offset + (FRAME_BYTES + stored.len()) as u64;
        if stored.len() < frame.stored_bytes as usize {
            return Err(damaged(format!("the file breaks off at byte {end}")));
        }
        if !frame.matches(&stored) {
            return Err(damaged("its bytes do not match their hash".to_owned()));
        }
        if frame.index != self.index {
            return Err(damaged(format!("section {} is in the place of section {}", frame.index, self.index)));
        }
        let content = self.decompressor.decompress(&stored, frame.content_bytes as usize);
        let content = content.map_err(|error| damaged(format!("it does not decompress: {error}")))?;
        let section = Section { kind: frame.kind, span: frame.span, place, content };
        self.take_note(&section, &frame)?;
        self.offset = end;
        Ok(Some(section))
    }

    /// Records a section's effect on those that follow.
    fn take_note(&mut self, section: &Section, frame: &Frame) -> Result<(), ReadError> {
        match section.kind {
            Kind::Broken => return Err(ReadError::Broken { after: self.after, why: section.decode()? }),
            Kind::End => {
                let End { sections, .. } = section.decode()?;
                if sections != Digest(*self.hashes.finalize().as_bytes()) {
                    return Err(section.damaged("it was written for other sections than those before it"));
                }
                self.ended = true;
            }
            Kind::Records | Kind::Snapshot => self.after = section.span.last,
            Kind::Header | Kind::Component => {}
        }
        self.hashes.update(&frame.hash.0);
        self.index += 1;
        Ok(())
    }
}

/// Reads `count` bytes, or fewer at the end of the file. Memory is only used for bytes that arrive, whatever a frame claims.
fn read(from: &mut impl Read, count: usize, offset: u64, to: &mut Vec<u8>) -> Result<(), ReadError> {
    let read = from.take(count as u64).read_to_end(to);
    read.map(drop).map_err(|error| ReadError::Io { offset: offset + to.len() as u64, error })
}

fn broken_off(section: u32, offset: u64) -> ReadError {
    let place = ExportPosition { section, kind: None, span: Span::default(), after: Seq(0), offset: 0 };
    ReadError::Damaged { place, what: format!("the file breaks off at byte {offset}") }
}

impl fmt::Display for ExportPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, kind, span: Span { first, last }, after, offset } = self;
        write!(f, "section {section}, ")?;
        match kind {
            Some(Kind::Records) if *first == after.next() && first <= last => write!(f, "events {first} to {last}")?,
            Some(Kind::Snapshot) => write!(f, "the snapshot at {last}")?,
            Some(Kind::Header) => f.write_str("the header")?,
            Some(Kind::Component) => write!(f, "a component, after event {after}")?,
            _ => write!(f, "after event {after}")?,
        }
        write!(f, ", at byte {offset}")
    }
}
