//! Proves an export: it is complete, and its events, applied by its components, lead to every state that it mentions.
//!
//! ```text
//!  file ── Reader: sections ── Parts: records, chain ──▶ channel ──▶ Prover: replay, checkpoints, snapshots ──▶ Proof
//!          └──────────── a thread of its own ────────┘
//! ```

use std::collections::VecDeque;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use reapply_machine::{Build, Deployment, Engine};
use reapply_sync::{Batch, Digest, Input, Machine, ReplayError, Snapshot, Timestamp};

use super::builds::{ExportBuilds, ExportReplay};
use super::finding::Finding;
use super::limits::{BUILDS_NAMED_MAX, PARTS_WAITING_MAX};
use super::part::{Counts, Header};
use super::parts::{Part, Parts};
use super::read::ReadError;

/// The result of proving an export.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The log's identity and its end.
    pub header: Header,
    /// The counts of its contents.
    pub counts: Counts,
    /// The number of checkpoints in the log, each compared with its state.
    pub checkpoints: u64,
    /// The last builds that applied the events, in this order, up to [`BUILDS_NAMED_MAX`].
    pub builds: VecDeque<Digest>,
    /// The number of all builds that applied the events. One counts each time that it takes over.
    pub builds_total: u64,
    /// The time when the alarm of the last state is due, if it has set one.
    pub alarm: Option<Timestamp>,
    /// The number of bytes of the file.
    pub bytes: u64,
}

/// A part of an export, as soon as it is proved. Later parts may still show that the export is damaged.
pub enum Proven<'a> {
    /// The log's identity. The log has not yet led there.
    Header(&'a Header),
    /// A component that would pass a deployment.
    Component(&'a Deployment),
    /// A snapshot of the state that the log leads to, or the one that a trimmed log begins with; and its build.
    Snapshot(&'a Snapshot, &'a Build),
    /// Events that were applied again.
    Batch(&'a Batch),
}

/// The reasons why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The export is wrong.
    #[error(transparent)]
    Finding(#[from] Finding),
    /// The witness stopped.
    #[error("the verification was stopped")]
    Stopped,
}

/// Proves an export from its first byte to its last. Passes each part to `witness` when it is proved, and stops when `witness` breaks.
///
/// # Errors
///
/// The export has a fault, of which the first is returned, or the witness stopped.
pub fn verify(
    from: impl Read + Send,
    engine: &Engine,
    witness: &mut dyn FnMut(Proven<'_>) -> ControlFlow<()>,
) -> Result<Proof, VerifyError> {
    let (sender, parts) = mpsc::sync_channel(PARTS_WAITING_MAX);
    thread::scope(move |scope| {
        let reader = thread::Builder::new().name("export-read".to_owned());
        let started = reader.spawn_scoped(scope, move || read(from, &sender));
        started.map_err(|error| Finding::File(ReadError::Io { offset: 0, error }))?;
        // Returning always drops the parts, so the reader never waits forever.
        prove(parts, engine, witness)
    })
}

fn read(from: impl Read, to: &SyncSender<Result<Part, Finding>>) {
    let parts = match Parts::new(from) {
        Ok(parts) => parts,
        Err(error) => return drop(to.send(Err(error.into()))),
    };
    for part in parts {
        if to.send(part).is_err() {
            return;
        }
    }
}

fn prove(
    parts: Receiver<Result<Part, Finding>>,
    engine: &Engine,
    witness: &mut dyn FnMut(Proven<'_>) -> ControlFlow<()>,
) -> Result<Proof, VerifyError> {
    let mut tell = |proven: Proven<'_>| match witness(proven) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(VerifyError::Stopped),
    };
    let header = match parts.recv() {
        Ok(Ok(Part::Header(header))) => *header,
        Ok(Err(finding)) => return Err(finding.into()),
        Ok(Ok(_)) | Err(_) => return Err(VerifyError::Stopped),
    };
    tell(Proven::Header(&header))?;
    let mut prover =
        Prover { header, builds: ExportBuilds::new(engine), replay: None, checkpoints: 0, used: Used::default() };
    for part in parts {
        match part? {
            Part::Header(_) => {}
            Part::Component(digest, bytes) => tell(Proven::Component(&prover.builds.add(digest, &bytes)?))?,
            Part::Snapshot(snapshot) => {
                prover.snapshot(&snapshot)?;
                tell(Proven::Snapshot(&snapshot, &prover.build()?))?;
            }
            Part::Records(batches) => {
                for batch in &batches {
                    prover.batch(batch)?;
                    tell(Proven::Batch(batch))?;
                }
            }
            Part::End(counts, bytes) => return Ok(prover.end(counts, bytes)?),
        }
    }
    // The parts end with the last one, or with a fault; so the reader's thread has ended early.
    Err(VerifyError::Stopped)
}

struct Prover {
    header: Header,
    builds: ExportBuilds,
    replay: Option<ExportReplay>,
    checkpoints: u64,
    used: Used,
}

/// The builds that applied events: the last ones, and how many there were.
#[derive(Debug, Default)]
struct Used {
    last: VecDeque<Digest>,
    total: u64,
}

impl Used {
    fn push(&mut self, digest: Digest) {
        self.total += 1;
        self.last.push_back(digest);
        if self.last.len() > BUILDS_NAMED_MAX {
            self.last.pop_front();
        }
    }
}

impl Prover {
    fn snapshot(&mut self, snapshot: &Snapshot) -> Result<(), Finding> {
        if self.replay.is_none() && self.header.base.is_some() {
            let replay = self.begin(ExportReplay::from_snapshot(self.builds.source(), snapshot)?);
            self.replay = Some(replay);
        }
        let wrong = |why: String| Err(Finding::Snapshot { seq: snapshot.seq, why });
        let taken = self.replay()?.snapshot();
        let (version, state) = taken.map_err(|fault| ReplayError::Snapshot { seq: snapshot.seq, fault })?;
        if version != snapshot.state_version {
            return wrong(format!(
                "it says that its state has version {}, and its build writes {version}",
                snapshot.state_version
            ));
        }
        if state != snapshot.state {
            let place = state.iter().zip(&snapshot.state).take_while(|(ours, theirs)| ours == theirs).count();
            let (ours, theirs) = (state.len(), snapshot.state.len());
            return wrong(format!(
                "its state ({theirs} bytes) is not the one that the log leads to ({ours} bytes): they differ from byte {place} on"
            ));
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<(), Finding> {
        let replay = self.replay()?;
        batch.events.iter().try_for_each(|event| replay.apply(event))?;
        replay.end_batch();
        let (begins, _) = self.header.start();
        for event in &batch.events {
            match &event.input {
                Input::Upgraded(digest) => self.used.push(*digest),
                // A checkpoint of a trimmed state is not compared with anything.
                Input::Checkpoint { seq, .. } if *seq >= begins => self.checkpoints += 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the current build.
    fn build(&mut self) -> Result<Build, Finding> {
        Ok(self.replay()?.state().0.build().clone())
    }

    fn end(mut self, counts: Counts, bytes: u64) -> Result<Proof, Finding> {
        let replay = self.replay()?;
        let seq = replay.seq();
        let (machine, state) = replay.state();
        let alarm = machine.alarm(state).map_err(|fault| Finding::Event { seq, why: format!("its alarm: {fault}") })?;
        let Self { header, checkpoints, used: Used { last: builds, total: builds_total }, .. } = self;
        let alarm = alarm.map(|alarm| alarm.at);
        Ok(Proof { header, counts, checkpoints, builds, builds_total, alarm, bytes })
    }

    /// Returns the replay, which begins with the first part that needs it, since components come after the header.
    fn replay(&mut self) -> Result<&mut ExportReplay, Finding> {
        let replay = match self.replay.take() {
            Some(replay) => replay,
            None => self.begin(ExportReplay::from_genesis(self.builds.source(), &self.header.genesis)?),
        };
        Ok(self.replay.insert(replay))
    }

    fn begin(&mut self, mut replay: ExportReplay) -> ExportReplay {
        replay.check_checkpoints(true);
        self.used.push(replay.digest());
        replay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_names_a_limited_number_of_builds_and_counts_them_all() {
        let mut used = Used::default();
        let builds = (0..).map(|number: u64| Digest::of(&number.to_le_bytes()));
        builds.clone().take(3 * BUILDS_NAMED_MAX).for_each(|digest| used.push(digest));
        assert_eq!((used.last.len(), used.total), (BUILDS_NAMED_MAX, 3 * BUILDS_NAMED_MAX as u64));
        assert!(used.last.into_iter().eq(builds.skip(2 * BUILDS_NAMED_MAX).take(BUILDS_NAMED_MAX)));
    }
}
