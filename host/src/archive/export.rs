//! Writes a room's log from the journal into an export.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use reapply_journal::{Journal, JournalError};
use reapply_sync::{Batch, Digest, RoomId, Seq};
use tokio::runtime::Handle;

use super::components::Components;
use super::limits::RECORDS_BYTES;
use super::part::{Counts, Header};
use super::write::{WriteError, Writer};
use crate::background;
use crate::clock;
use crate::log::{LogError, LogReader};

/// The reason why a room was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The export could not be written: the client has disconnected, or a disk is full.
    #[error("the export could not be written: {0}")]
    Write(#[from] io::Error),
    /// The log cannot be read, or is damaged. The export ends before the damage, with the reason.
    #[error("the log cannot be exported beyond event {after}: {why}")]
    Log {
        /// The last event that was exported.
        after: Seq,
        /// The problem.
        why: String,
    },
}

/// Exports the log of `room` up to its current head, with its components and snapshots. Blocks, and holds one section in memory. The log is not
/// trimmed meanwhile.
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
    let writer = Writer::new(to, &header).map_err(|error| unwritten(after, error))?;
    let mut exporter = Exporter { journal, runtime, id, writer, reader, after, components: Components::default() };
    match exporter.run(first, head) {
        Ok(()) => Ok(exporter.writer.finish().map_err(|error| unwritten(head, error))?.1),
        Err(Failure::Write(error)) => Err(error.into()),
        Err(Failure::Log(why)) => {
            let after = exporter.after;
            exporter.writer.break_off(&why).map_err(|error| unwritten(after, error))?;
            Err(ExportError::Log { after, why })
        }
    }
}

fn unwritten(after: Seq, error: WriteError) -> ExportError {
    match error {
        WriteError::Io(error) => ExportError::Write(error),
        WriteError::Refused(why) => ExportError::Log { after, why },
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
    components: Components,
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
            // Held until the portion is proved. Compressing it takes another slot, and sending it takes none.
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

    /// Exports batches. A component is written right before the batch that upgrades to it.
    fn batches(&mut self, batches: Vec<Batch>) -> Result<(), Failure> {
        let mut section = Vec::new();
        for batch in batches {
            if let Some(digest) = batch.upgrade().filter(|digest| !self.components.has(*digest)) {
                self.section(std::mem::take(&mut section))?;
                self.component(digest)?;
            }
            section.push(batch);
        }
        self.section(section)
    }

    fn section(&mut self, batches: Vec<Batch>) -> Result<(), Failure> {
        let Some(last) = batches.last().map(Batch::last) else { return Ok(()) };
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

    /// Exports a component that is not at hand.
    fn component(&mut self, digest: Digest) -> Result<(), Failure> {
        let refused = |why: String| Failure::Log(format!("{}: its component {digest}: {why}", self.id));
        let component = self.runtime.block_on(self.journal.component(digest))?;
        let component = component.ok_or_else(|| refused("it is not stored".to_owned()))?;
        self.components.add(digest, component.bytes.len()).map_err(refused)?;
        Ok(self.writer.component(digest, component.bytes)?)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io(error) => Self::Write(error),
            WriteError::Refused(why) => Self::Log(why),
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Log(error.to_string())
    }
}
