//! Imports an export. It becomes a room once all of it is proved, or not at all.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use reapply_journal::{Journal, JournalError, NewRoom};
use reapply_machine::{Build, Engine, Stack};
use reapply_sync::room::Note;
use reapply_sync::{Batch, Chain, Digest, LoadError, LogId, Machine, RoomId, Seq, Snapshot};
use tokio::runtime::Handle;
use tracing::warn;

use super::part::Header;
use super::spool::Spool;
use super::staging::{Staging, forked};
use super::verify::{Proof, Proven, VerifyError, verify};
use crate::clock;
use crate::machines::to_component;

/// The reasons why an export was not imported. The journal is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The export is wrong.
    #[error(transparent)]
    Unproven(#[from] VerifyError),
    /// The journal refused it, or failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A room that was made from an export.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The proof of the export.
    pub proof: Proof,
    /// Whether its log continues under another name than the exported room's.
    pub is_fork: bool,
    /// The id of the log that it writes.
    pub log: LogId,
    /// The last event of its log.
    pub head: Seq,
    /// The chain of its log there.
    pub chain: Chain,
    /// The build that became its machine's current one, if the machine did not exist.
    pub deployed: Option<Digest>,
}

/// Creates the room `to` from an export. Under the exported name, the log is the same; under another name, it continues as a fork. Blocks. The
/// components wait in a temporary file in `scratch` until everything is proved.
///
/// # Errors
///
/// The export is not proved, or the journal does not store it. Nothing has changed.
pub fn import(
    journal: &dyn Journal,
    runtime: &Handle,
    engine: &Engine,
    to: &RoomId,
    scratch: &Path,
    from: impl Read + Send,
) -> Result<Imported, ImportError> {
    let components = Spool::new(scratch);
    let mut importer = Importer { journal, runtime, to, staging: None, forked: None, begins: Seq(0), components };
    let mut failure = None;
    let proved = verify(from, engine, &mut |proven| match importer.take(proven) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    });
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(importer.finish(proved?)?),
    }
}

struct Importer<'a> {
    journal: &'a dyn Journal,
    runtime: &'a Handle,
    to: &'a RoomId,
    staging: Option<Staging<'a>>,
    /// The batch with which the log continues as a fork, if the room has another name than the exported one.
    forked: Option<Batch>,
    /// The place where the log begins.
    begins: Seq,
    /// The components. They are stored last, so that an unproved export leaves nothing behind.
    components: Spool,
}

impl<'a> Importer<'a> {
    fn take(&mut self, proven: Proven<'_>) -> Result<(), JournalError> {
        match proven {
            Proven::Header(header) => self.begin(header),
            Proven::Component(deployment) => self.components.add(&to_component(&deployment.build)),
            Proven::Snapshot(snapshot, build) => self.snapshot(snapshot, build),
            Proven::Batch(batch) => self.staging()?.batch(batch),
        }
    }

    fn begin(&mut self, header: &Header) -> Result<(), JournalError> {
        let Header { genesis, base, log, head, chain, time, room, .. } = header;
        self.begins = base.as_ref().map_or(Seq(0), |base| base.seq);
        self.forked = (room != self.to).then(|| forked(self.to, *head, *chain, *time));
        let log = self.forked.as_ref().map_or(*log, |batch| batch.chain.log_id());
        let room = NewRoom {
            room: self.to.clone(),
            genesis: genesis.clone(),
            log,
            base: base.clone(),
            note: Note::default(),
            staged: true,
        };
        self.staging = Some(Staging::begin(self.journal, self.runtime, room)?);
        Ok(())
    }

    /// Stores a snapshot, if its build restores it. The room also opens without the snapshot, unless the log begins there.
    fn snapshot(&mut self, snapshot: &Snapshot, build: &Build) -> Result<(), JournalError> {
        let started = build.instantiate_with(Stack::Replaying).map_err(LoadError::from);
        let restored = started.and_then(|mut machine| machine.restore(&snapshot.state, snapshot.state_version));
        match restored {
            Err(why) if snapshot.seq > self.begins => {
                warn!(room = %self.to, seq = %snapshot.seq, %why, "a snapshot of the export cannot be restored, so it is not stored");
                Ok(())
            }
            _ => self.staging()?.snapshot(snapshot),
        }
    }

    fn staging(&mut self) -> Result<&mut Staging<'a>, JournalError> {
        self.staging.as_mut().ok_or_else(|| JournalError::NoSuchRoom(self.to.clone()))
    }

    fn finish(mut self, proof: Proof) -> Result<Imported, JournalError> {
        let forked = self.forked.take();
        forked.as_ref().map_or(Ok(()), |batch| self.staging()?.batch(batch))?;
        let Some(staging) = self.staging.take() else { return Err(JournalError::NoSuchRoom(self.to.clone())) };
        let Self { journal, runtime, .. } = self;
        self.components.for_each(|component| runtime.block_on(journal.put_component(component)))?;
        let deployed = deploy_where_missing(journal, runtime, self.to, proof.header.digest)?;
        staging.publish(proof.alarm)?;
        let (log, head, chain) =
            forked.as_ref().map_or((proof.header.log, proof.header.head, proof.header.chain), |batch| {
                (batch.chain.log_id(), batch.last(), batch.chain)
            });
        Ok(Imported { proof, is_fork: forked.is_some(), log, head, chain, deployed })
    }
}

/// Deploys the machine of a room if it is missing. Otherwise the room could be entered, but no other room could begin.
fn deploy_where_missing(
    journal: &dyn Journal,
    runtime: &Handle,
    room: &RoomId,
    digest: Digest,
) -> Result<Option<Digest>, JournalError> {
    let machines = runtime.block_on(journal.machines())?;
    if machines.iter().any(|machine| machine.name == room.machine) {
        return Ok(None);
    }
    runtime.block_on(journal.set_current(&room.machine, digest, clock::now()))?;
    Ok(Some(digest))
}
