//! Writing an export.

use std::io::{self, Write};

use bytes::Bytes;
use reapply_sync::{Digest, Seq, Snapshot};
use serde::Serialize;
use zstd::bulk::Compressor;

use super::format::{FORMAT, Frame, Kind, MAGIC, Span};
use super::limits::{SECTION_BYTES_MAX, ZSTD_LEVEL};
use super::part::{Counts, End, Header, StoredComponent};
use crate::background;

/// A writer of an export, section by section, which holds one section at a time.
pub(super) struct Writer<W> {
    to: W,
    compressor: Compressor<'static>,
    index: u32,
    hashes: blake3::Hasher,
    counts: Counts,
    /// The last event of the records so far.
    after: Seq,
}

impl<W: Write> Writer<W> {
    /// Begins an export.
    pub(super) fn new(mut to: W, header: &Header) -> io::Result<Self> {
        to.write_all(&MAGIC)?;
        to.write_all(&FORMAT.to_le_bytes())?;
        let mut writer = Self {
            to,
            compressor: Compressor::new(ZSTD_LEVEL)?,
            index: 0,
            hashes: blake3::Hasher::new(),
            counts: Counts::default(),
            after: header.start().0,
        };
        writer.section(Kind::Header, Span::default(), header)?;
        Ok(writer)
    }

    /// Adds a component, before the first event or snapshot that needs it.
    pub(super) fn component(&mut self, digest: Digest, bytes: Bytes) -> io::Result<()> {
        self.counts.components += 1;
        self.section(Kind::Component, Span::default(), &StoredComponent { digest, bytes })
    }

    /// Adds the snapshot at the last event so far.
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.counts.snapshots += 1;
        self.section(Kind::Snapshot, Span::at(snapshot.seq), snapshot)
    }

    /// Adds the next records, up to the event `last`, by their events' bytes.
    pub(super) fn records(&mut self, last: Seq, bodies: &[Bytes]) -> io::Result<()> {
        self.counts.records += bodies.len() as u64;
        self.counts.events += last.0.saturating_sub(self.after.0);
        let span = Span { first: self.after.next(), last };
        self.after = last;
        self.section(Kind::Records, span, bodies)
    }

    /// Ends the export.
    pub(super) fn finish(mut self) -> io::Result<(W, Counts)> {
        let counts = self.counts;
        let end = End { counts, sections: Digest(*self.hashes.finalize().as_bytes()) };
        self.section(Kind::End, Span::default(), &end)?;
        self.to.flush()?;
        Ok((self.to, counts))
    }

    /// Ends the export early, with the reason for its readers.
    pub(super) fn break_off(mut self, why: &str) -> io::Result<()> {
        self.section(Kind::Broken, Span::default(), why)?;
        self.to.flush()
    }

    fn section<T: Serialize + ?Sized>(&mut self, kind: Kind, span: Span, content: &T) -> io::Result<()> {
        let content = postcard::to_allocvec(content).map_err(io::Error::other)?;
        let stored = {
            // Only for this purpose: a slow reader delays nobody else.
            let _slot = background::slot_blocking();
            self.compressor.compress(&content)?
        };
        let content_bytes = u32::try_from(content.len()).ok().filter(|_| content.len() <= SECTION_BYTES_MAX);
        let Some(content_bytes) = content_bytes.filter(|_| stored.len() <= SECTION_BYTES_MAX) else {
            let bytes = content.len().max(stored.len());
            let what = format!("the {kind} section would have {bytes} bytes; the limit is {SECTION_BYTES_MAX}");
            return Err(io::Error::other(what));
        };
        let frame = Frame::new(kind, self.index, span, content_bytes, &stored);
        self.to.write_all(&frame.encode())?;
        self.to.write_all(&stored)?;
        self.index += 1;
        self.hashes.update(&frame.hash.0);
        Ok(())
    }
}
