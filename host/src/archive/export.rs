//! Writing a room's log, as its journal holds it, into an export.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::{Batch, Digest, RoomId, Seq};
use tokio::runtime::Handle;

use super::limits::RECORDS_BYTES;
use super::part::{Counts, Header};
use super::write::Writer;
use crate::background;
use crate::clock;
use crate::journal::{Journal, JournalError};
use crate::log::{LogError, LogReader};

/// Why a room was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It could not be written where it was to go: whoever asked has gone, or a disk is full.
    #[error("the export could not be written: {0}")]
    Write(#[from] io::Error),
    /// The log cannot be read, or is damaged. The export ends before it, and says why.
    #[error("the log cannot be exported beyond event {after}: {why}")]
    Log {
        /// The last event that was exported.
        after: Seq,
        /// What is wrong.
        why: String,
    },
}

/// Exports the log of `room` as far as it has come, with the components and snapshots that belong to it. Blocks, and holds one section in
/// memory. The log is not trimmed meanwhile.
///
/// # Errors
///
/// The log cannot be read or the export cannot be written.
pub fn export(
    journal: &Arc<dyn Journal>,
    runtime: &Handle,
    room: &RoomId,
    to: impl Write,
) -> Result<Counts, ExportError> {
    let unread = |why: String| ExportError::Log { after: Seq(0), why };
    let _hold = runtime.block_on(journal.hold(room)).map_err(|error| unread(error.to_string()))?;
    let record = runtime.block_on(journal.room(room)).map_err(|error| unread(error.to_string()))?;
    let room = record.ok_or_else(|| unread(format!("there is no room {room}")))?;
    let (head, id) = (room.head, room.room.clone());
    let first = room.base.as_ref().map_or(room.genesis.digest, |base| base.digest);
    let header = Header::new(room, clock::now());
    let (after, _) = header.start();
    let reader = LogReader::new(journal, &id, header.start());
    let writer = Writer::new(to, &header)?;
    let mut exporter = Exporter { journal, runtime, id, writer, reader, after, components: BTreeSet::new() };
    match exporter.run(first, head) {
        Ok(()) => Ok(exporter.writer.finish()?.1),
        Err(Failure::Write(error)) => Err(error.into()),
        Err(Failure::Log(why)) => {
            let after = exporter.after;
            exporter.writer.break_off(&why)?;
            Err(ExportError::Log { after, why })
        }
    }
}

struct Exporter<'a, W> {
    journal: &'a Arc<dyn Journal>,
    runtime: &'a Handle,
    id: RoomId,
    writer: Writer<W>,
    reader: LogReader,
    /// The last event that was exported.
    after: Seq,
    components: BTreeSet<Digest>,
}

enum Failure {
    Write(io::Error),
    Log(String),
}

impl<W: Write> Exporter<'_, W> {
    fn run(&mut self, first: Digest, head: Seq) -> Result<(), Failure> {
        self.component(first)?;
        let snapshots = self.runtime.block_on(self.journal.snapshots(&self.id))?;
        for seq in snapshots.iter().map(|snapshot| snapshot.seq).filter(|seq| *seq <= head) {
            self.records(seq)?;
            self.snapshot(seq)?;
        }
        self.records(head)
    }

    /// Exports the batches up to the one that ends at `upto`.
    fn records(&mut self, upto: Seq) -> Result<(), Failure> {
        self.reader.set_upto(upto);
        while self.after < upto {
            // Until the portion is proved. To compress it takes a slot of its own, and to send it takes none.
            let slot = background::slot_blocking();
            let read = self.runtime.block_on(self.reader.next(RECORDS_BYTES));
            drop(slot);
            let mut batches = read.map_err(|error| match error {
                LogError::Journal(error) => error.into(),
                LogError::Damaged { damage, .. } => self.damaged(&damage.to_string()),
            })?;
            if batches.is_empty() {
                return Err(self.damaged(&format!("its record is missing, and the log ends at {upto}")));
            }
            let beyond = batches.pop_if(|batch| batch.last() > upto);
            self.batches(batches)?;
            if let Some(batch) = beyond {
                let what = format!("it ends at {}, beyond {upto}, where one must end", batch.last());
                return Err(self.damaged(&what));
            }
        }
        Ok(())
    }

    /// Exports batches, after the components that they upgrade to.
    fn batches(&mut self, batches: Vec<Batch>) -> Result<(), Failure> {
        let Some(last) = batches.last().map(Batch::last) else { return Ok(()) };
        batches.iter().filter_map(Batch::upgrade).try_for_each(|digest| self.component(digest))?;
        let bodies: Vec<Bytes> = batches.into_iter().map(|batch| batch.body).collect();
        self.writer.records(last, &bodies)?;
        self.after = last;
        Ok(())
    }

    fn damaged(&self, what: &str) -> Failure {
        Failure::Log(format!("the record after event {} of {} is damaged: {what}", self.after, self.id))
    }

    fn snapshot(&mut self, seq: Seq) -> Result<(), Failure> {
        let snapshot = self.runtime.block_on(self.journal.snapshot(&self.id, Some(seq)))?;
        match snapshot.filter(|snapshot| snapshot.seq == seq) {
            Some(snapshot) => Ok(self.writer.snapshot(&snapshot)?),
            None => Err(Failure::Log(format!("{}: the snapshot at {seq} is gone", self.id))),
        }
    }

    /// Exports a component, if that was not done before.
    fn component(&mut self, digest: Digest) -> Result<(), Failure> {
        if !self.components.insert(digest) {
            return Ok(());
        }
        match self.runtime.block_on(self.journal.component(digest))? {
            Some(component) => Ok(self.writer.component(digest, component.bytes)?),
            None => Err(Failure::Log(format!("{}: its component {digest} is not stored", self.id))),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Log(error.to_string())
    }
}
