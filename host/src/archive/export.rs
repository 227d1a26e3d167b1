//! Writing a room's log, as its journal holds it, into an export.

use std::collections::BTreeSet;
use std::io::{self, Write};

use reapply_sync::{Batch, Chain, Digest, RoomId, Seq};
use tokio::runtime::Handle;

use super::limits::RECORDS_BYTES;
use super::part::{Counts, Header};
use super::write::Writer;
use crate::background;
use crate::clock;
use crate::journal::{Journal, JournalError, Record};

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
pub fn export(journal: &dyn Journal, runtime: &Handle, room: &RoomId, to: impl Write) -> Result<Counts, ExportError> {
    let unread = |why: String| ExportError::Log { after: Seq(0), why };
    let _hold = runtime.block_on(journal.hold(room)).map_err(|error| unread(error.to_string()))?;
    let record = runtime.block_on(journal.room(room)).map_err(|error| unread(error.to_string()))?;
    let room = record.ok_or_else(|| unread(format!("there is no room {room}")))?;
    let (head, id) = (room.head, room.room.clone());
    let first = room.base.as_ref().map_or(room.genesis.digest, |base| base.digest);
    let header = Header::new(room, clock::now());
    let (after, chain) = header.start();
    let writer = Writer::new(to, &header)?;
    let mut exporter = Exporter { journal, runtime, id, writer, after, chain, components: BTreeSet::new() };
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
    journal: &'a dyn Journal,
    runtime: &'a Handle,
    id: RoomId,
    writer: Writer<W>,
    after: Seq,
    chain: Chain,
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

    /// Exports the records up to the one that ends at `upto`.
    fn records(&mut self, upto: Seq) -> Result<(), Failure> {
        while self.after < upto {
            // Until the portion is proved. To compress it takes a slot of its own, and to send it takes none.
            let slot = background::slot_blocking();
            let records = self.runtime.block_on(self.journal.read(&self.id, self.after, RECORDS_BYTES))?;
            let (mut after, mut chain) = (self.after, self.chain);
            let (mut bodies, mut upgrades, mut damage) = (Vec::new(), Vec::new(), None);
            for record in records.into_iter().take_while(|record| record.expected < upto) {
                match proven(&record, after, chain, upto) {
                    Ok(batch) => {
                        upgrades.extend(batch.upgrade());
                        (after, chain) = (batch.last(), batch.chain);
                        bodies.push(batch.body);
                    }
                    Err(what) => {
                        damage = Some(what);
                        break;
                    }
                }
            }
            drop(slot);
            upgrades.into_iter().try_for_each(|digest| self.component(digest))?;
            // What comes before the damage is whole, so it is exported all the same.
            if !bodies.is_empty() {
                self.writer.records(after, &bodies)?;
            } else if damage.is_none() {
                damage = Some(format!("its record is missing, and the log ends at {upto}"));
            }
            (self.after, self.chain) = (after, chain);
            if let Some(what) = damage {
                return Err(Failure::Log(format!("the record after event {after} of {} is damaged: {what}", self.id)));
            }
        }
        Ok(())
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

/// The record's batch, if it follows on `after` and leads no further than `upto`.
fn proven(record: &Record, after: Seq, chain: Chain, upto: Seq) -> Result<Batch, String> {
    if record.expected != after {
        return Err(format!("one that follows {} stands in its place", record.expected));
    }
    let batch = record.decode(chain).map_err(|damage| damage.to_string())?;
    if batch.last() > upto {
        return Err(format!("it ends at {}, beyond {upto}, where one must end", batch.last()));
    }
    Ok(batch)
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
