//! Writes an export.

use std::io::{self, Write};

use bytes::Bytes;
use reapply_sync::{Digest, Seq, Snapshot};
use serde::Serialize;
use zstd::bulk::Compressor;

use super::format::{FORMAT, FRAME_BYTES, Frame, Kind, MAGIC, Span};
use super::limits::{EXPORT_BYTES_MAX, EXPORT_END_BYTES, SECTION_BYTES_MAX, ZSTD_LEVEL};
use super::part::{Counts, End, Header, StoredComponent};
use crate::background;

/// The reasons why a section was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The storage or the connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No reader would accept the section. Nothing of it was written.
    #[error("{0}")]
    Refused(String),
}

/// A writer of an export, section by section, which holds one section at a time.
pub(super) struct Writer<W> {
    to: W,
    compressor: Compressor<'static>,
    index: u32,
    hashes: blake3::Hasher,
    counts: Counts,
    /// The last event of the records so far.
    after: Seq,
    /// The number of bytes that are left for sections before the last one.
    bytes_left: u64,
}

impl<W: Write> Writer<W> {
    /// Begins an export.
    pub(super) fn new(mut to: W, header: &Header) -> Result<Self, WriteError> {
        to.write_all(&MAGIC)?;
        to.write_all(&FORMAT.to_le_bytes())?;
        let mut writer = Self {
            to,
            compressor: Compressor::new(ZSTD_LEVEL)?,
            index: 0,
            hashes: blake3::Hasher::new(),
            counts: Counts::default(),
            after: header.start().0,
            bytes_left: EXPORT_BYTES_MAX - EXPORT_END_BYTES,
        };
        writer.section(Kind::Header, Span::default(), header)?;
        Ok(writer)
    }

    /// Adds a component, before the first event or snapshot that needs it.
    pub(super) fn component(&mut self, digest: Digest, bytes: Bytes) -> Result<(), WriteError> {
        self.counts.components += 1;
        self.section(Kind::Component, Span::default(), &StoredComponent { digest, bytes })
    }

    /// Adds the snapshot at the last event so far.
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) -> Result<(), WriteError> {
        self.counts.snapshots += 1;
        self.section(Kind::Snapshot, Span::at(snapshot.seq), snapshot)
    }

    /// Adds the next records, up to the event `last`, by their events' bytes.
    pub(super) fn records(&mut self, last: Seq, bodies: &[Bytes]) -> Result<(), WriteError> {
        self.counts.records += bodies.len() as u64;
        self.counts.events += last.0.saturating_sub(self.after.0);
        let span = Span { first: self.after.next(), last };
        self.after = last;
        self.section(Kind::Records, span, bodies)
    }

    /// Ends the export.
    pub(super) fn finish(mut self) -> Result<(W, Counts), WriteError> {
        let counts = self.counts;
        let end = End { counts, sections: Digest(*self.hashes.finalize().as_bytes()) };
        self.section(Kind::End, Span::default(), &end)?;
        self.to.flush()?;
        Ok((self.to, counts))
    }

    /// Ends the export early, and writes the reason into it.
    pub(super) fn break_off(mut self, why: &str) -> Result<(), WriteError> {
        self.section(Kind::Broken, Span::default(), why)?;
        Ok(self.to.flush()?)
    }

    fn section<T: Serialize + ?Sized>(&mut self, kind: Kind, span: Span, content: &T) -> Result<(), WriteError> {
        let content = postcard::to_allocvec(content).map_err(io::Error::other)?;
        let stored = {
            // The slot is held only while the section is compressed, so that a slow reader delays nobody else.
            let _slot = background::slot_blocking();
            self.compressor.compress(&content)?
        };
        let content_bytes = u32::try_from(content.len()).ok().filter(|_| content.len() <= SECTION_BYTES_MAX);
        let Some(content_bytes) = content_bytes.filter(|_| stored.len() <= SECTION_BYTES_MAX) else {
            let bytes = content.len().max(stored.len());
            let what = format!("the {kind} section would have {bytes} bytes; the limit is {SECTION_BYTES_MAX}");
            return Err(WriteError::Refused(what));
        };
        if !matches!(kind, Kind::End | Kind::Broken) {
            let left = self.bytes_left.checked_sub((FRAME_BYTES + stored.len()) as u64);
            self.bytes_left = left.ok_or_else(|| {
                WriteError::Refused(format!(
                    "the export would have more bytes than the limit, which is {EXPORT_BYTES_MAX}"
                ))
            })?;
        }
        let frame = Frame::new(kind, self.index, span, content_bytes, &stored);
        self.to.write_all(&frame.encode())?;
        self.to.write_all(&stored)?;
        self.index += 1;
        self.hashes.update(&frame.hash.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use reapply_sync::{Genesis, RoomId, Timestamp};

    use super::super::part::Header;
    use super::super::parts::{Part, Parts};
    use super::super::read::ReadError;
    use super::*;
    use crate::archive::Finding;

    fn header() -> Header {
        let room = RoomId { machine: "counter".parse().unwrap(), room: "lobby".parse().unwrap() };
        let digest = Digest::of(b"component");
        let genesis = Genesis { room: room.clone(), digest, options: String::new(), time: Timestamp(1), nonce: 2 };
        let (log, chain, time) = (genesis.log_id(), genesis.chain(), genesis.time);
        let (writer, head) = ("a test".to_owned(), Seq(0));
        Header { writer, created: time, room, genesis, log, digest, base: None, head, time, chain }
    }

    /// Returns bytes that do not compress.
    fn noise(length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes.into()
    }

    #[test]
    fn an_export_that_no_host_would_accept_says_so_at_its_end() {
        let small = noise(1_000);
        for (bytes_left, bytes, cause) in [
            (5_000, noise(6_000), "the export would have more bytes than the limit, which is 17179869184"),
            (u64::MAX, noise(SECTION_BYTES_MAX + 1), "the component section would have"),
        ] {
            let mut file = Vec::new();
            let mut writer = Writer::new(&mut file, &header()).unwrap();
            writer.bytes_left = bytes_left;
            writer.component(Digest::of(&small), small.clone()).unwrap();
            let error = writer.component(Digest::of(&bytes), bytes).unwrap_err();
            assert!(matches!(&error, WriteError::Refused(why) if why.starts_with(cause)), "{error}");
            writer.break_off(&error.to_string()).unwrap();
            let parts: Vec<_> = Parts::new(&file[..]).unwrap().collect();
            assert!(matches!(&parts[..2], [Ok(Part::Header(_)), Ok(Part::Component(..))]), "{parts:?}");
            let Err(Finding::File(ReadError::Broken { why, .. })) = &parts[2] else { panic!("{parts:?}") };
            assert!(why.starts_with(cause), "{why}");
        }
    }
}
