//! Going through a log again: from its genesis or a snapshot, each range with the build that was current there.
//!
//! Waking a room, looking at the past, proving an export, and a page's history are all this.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::event::{Event, Genesis, Input};
use crate::id::{Digest, Seq, Timestamp};
use crate::machine::{ApplyError, Fault, LoadError, Machine};
use crate::snapshot::Snapshot;

/// States of earlier batch ends that a checkpoint may still speak of: it comes one or two batches after the state that it names.
const MARKS_MAX: usize = 4;

/// A place in a log, and the state there. `B` makes a machine of the build with a digest.
#[derive(Debug)]
pub struct Replay<M: Machine, B> {
    builds: B,
    machine: M,
    digest: Digest,
    state: M::State,
    /// Where this replay began.
    origin: Seq,
    /// The first event after which the state was this one.
    since: Seq,
    seq: Seq,
    time: Timestamp,
    /// Whether a batch has ended on this state.
    is_marked: bool,
    marks: VecDeque<Mark<M::State>>,
    checks: bool,
}

/// The state at a batch's end, and the seqs at which it stood.
#[derive(Debug)]
struct Mark<S> {
    since: Seq,
    upto: Seq,
    state: S,
}

/// Why a log could not be gone through again. Names the first event that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The build is not to be had, or does not start.
    #[error("the build {digest} cannot be run: {why}")]
    Build {
        /// Which.
        digest: Digest,
        /// Why.
        why: String,
    },
    /// The first state, a snapshot's, or a migrated one could not be made.
    #[error("the state at {seq} could not be made: {error}")]
    Load {
        /// Where.
        seq: Seq,
        /// Why.
        error: LoadError,
    },
    /// The machine did not apply what it had applied once.
    #[error("event {seq} could not be applied again: {error}")]
    Apply {
        /// Which.
        seq: Seq,
        /// Why.
        error: ApplyError,
    },
    /// The machine did not write a snapshot.
    #[error("no snapshot could be taken of the state at {seq}: {fault}")]
    Snapshot {
        /// Where.
        seq: Seq,
        /// Why.
        fault: Fault,
    },
    /// An event does not follow on the one before.
    #[error("event {found} was found where {expected} should be")]
    Disordered {
        /// What should be there.
        expected: Seq,
        /// What was.
        found: Seq,
    },
    /// A checkpoint in the log has another hash than the state that it speaks of.
    #[error("event {event} says that the snapshot at {seq} has the hash {logged}, and it has {found}")]
    Checkpoint {
        /// The checkpoint's own event.
        event: Seq,
        /// The state that it speaks of.
        seq: Seq,
        /// What the log says.
        logged: Digest,
        /// What the state has; `None` where the checkpoint speaks of no state that it could.
        found: Found,
    },
}

impl ReplayError {
    /// Whether the machine broke off: with more stack, fuel or memory it might not.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Load { error: LoadError::Fault(_), .. }
            | Self::Apply { error: ApplyError::Fault(_), .. }
            | Self::Snapshot { .. } => true,
            Self::Build { .. }
            | Self::Load { .. }
            | Self::Apply { .. }
            | Self::Disordered { .. }
            | Self::Checkpoint { .. } => false,
        }
    }
}

/// The hash that a checkpoint was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The state's.
    Hash(Digest),
    /// None: no batch ends at that seq shortly before the checkpoint.
    NoState,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hash(hash) => hash.fmt(f),
            Self::NoState => f.write_str("none: no batch ends there shortly before it"),
        }
    }
}

impl<M: Machine, B: FnMut(Digest) -> Result<M, String>> Replay<M, B> {
    /// At the genesis of a log.
    ///
    /// # Errors
    ///
    /// Its build is not to be had, or does not make the first state.
    pub fn from_genesis(mut builds: B, genesis: &Genesis) -> Result<Self, ReplayError> {
        let mut machine = load(&mut builds, genesis.digest)?;
        let created = machine.create(&genesis.options);
        let state = created.map_err(|error| ReplayError::Load { seq: Seq(0), error })?;
        Ok(Self::at(builds, machine, genesis.digest, state, Seq(0), genesis.time))
    }

    /// At a snapshot.
    ///
    /// # Errors
    ///
    /// Its build is not to be had, or does not restore it.
    pub fn from_snapshot(mut builds: B, snapshot: &Snapshot) -> Result<Self, ReplayError> {
        let mut machine = load(&mut builds, snapshot.digest)?;
        let restored = machine.restore(&snapshot.state, snapshot.state_version);
        let state = restored.map_err(|error| ReplayError::Load { seq: snapshot.seq, error })?;
        Ok(Self::at(builds, machine, snapshot.digest, state, snapshot.seq, snapshot.time))
    }

    /// From here on compares what the log's checkpoints say with the states that they speak of, as far as those lie within this replay.
    /// Needs [`Replay::end_batch`].
    pub fn check_checkpoints(&mut self, checks: bool) {
        self.checks = checks;
        // A snapshot stands where a batch ends, so the first state is one that a checkpoint may speak of.
        self.is_marked = checks && self.seq == self.origin;
    }

    /// The state after one more event. After an error nothing has moved, but the machine may have faulted: it is of no more use.
    ///
    /// # Errors
    ///
    /// The event does not follow, or does not do again what it did once.
    pub fn apply(&mut self, event: &Event) -> Result<(), ReplayError> {
        if event.seq != self.seq.next() {
            return Err(ReplayError::Disordered { expected: self.seq.next(), found: event.seq });
        }
        match &event.input {
            Input::Upgraded(digest) => self.upgrade(*digest, event.seq)?,
            // One of a state before the origin came a batch or two late: that state is out of reach here.
            Input::Checkpoint { seq, hash } if self.checks && *seq >= self.origin => {
                self.check(event.seq, *seq, *hash)?
            }
            Input::Checkpoint { .. } | Input::Forked { .. } => {}
            Input::Transition { .. } | Input::Alarm(_) | Input::Joined(_) | Input::Left(_) => {
                let applied = self.machine.reapply(&self.state, event);
                let state = applied.map_err(|error| ReplayError::Apply { seq: event.seq, error })?;
                self.stand(state, event.seq);
            }
        }
        (self.seq, self.time) = (event.seq, event.time);
        Ok(())
    }

    /// A batch ends here: a checkpoint may speak of this state.
    pub fn end_batch(&mut self) {
        self.is_marked = self.checks;
    }

    /// The last event in the state here.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// That event's time.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The build that is current here.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The machine, and the state here. If the machine faults in the caller's use, this replay is of no more use.
    pub fn state(&mut self) -> (&mut M, &M::State) {
        (&mut self.machine, &self.state)
    }

    /// The version and the bytes of the state here.
    ///
    /// # Errors
    ///
    /// The machine faults.
    pub fn snapshot(&mut self) -> Result<(u32, Bytes), Fault> {
        Ok((self.machine.state_version(), self.machine.snapshot(&self.state)?))
    }

    /// The machine and the state here, to go on with.
    pub(crate) fn into_state(self) -> (M, M::State) {
        (self.machine, self.state)
    }

    fn at(builds: B, machine: M, digest: Digest, state: M::State, seq: Seq, time: Timestamp) -> Self {
        let marks = VecDeque::new();
        Self {
            builds,
            machine,
            digest,
            state,
            origin: seq,
            since: seq,
            seq,
            time,
            is_marked: false,
            marks,
            checks: false,
        }
    }

    /// Takes the next state's place, and keeps the one before where a checkpoint may speak of it.
    fn stand(&mut self, state: M::State, since: Seq) {
        let before = Mark { since: self.since, upto: self.seq, state: std::mem::replace(&mut self.state, state) };
        self.since = since;
        if std::mem::take(&mut self.is_marked) {
            self.marks.push_back(before);
            if self.marks.len() > MARKS_MAX {
                self.marks.pop_front();
            }
        }
    }

    fn upgrade(&mut self, digest: Digest, seq: Seq) -> Result<(), ReplayError> {
        let mut machine = load(&mut self.builds, digest)?;
        let state = migrate(&mut self.machine, &self.state, &mut machine).map_err(|error| match error {
            MigrateError::Snapshot(fault) => ReplayError::Snapshot { seq: self.seq, fault },
            MigrateError::Restore(error) => ReplayError::Load { seq, error },
        })?;
        self.stand(state, seq);
        // Those are of the build before.
        self.marks.clear();
        (self.machine, self.digest) = (machine, digest);
        Ok(())
    }

    fn check(&mut self, event: Seq, seq: Seq, logged: Digest) -> Result<(), ReplayError> {
        let state = if (self.since..=self.seq).contains(&seq) {
            Some(&self.state)
        } else {
            self.marks.iter().find(|mark| (mark.since..=mark.upto).contains(&seq)).map(|mark| &mark.state)
        };
        let found = match state.map(|state| self.machine.snapshot(state)) {
            Some(Ok(snapshot)) => Found::Hash(Digest::of(&snapshot)),
            Some(Err(fault)) => return Err(ReplayError::Snapshot { seq, fault }),
            None => Found::NoState,
        };
        if found == Found::Hash(logged) { Ok(()) } else { Err(ReplayError::Checkpoint { event, seq, logged, found }) }
    }
}

/// Why a state was not taken over by another build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MigrateError {
    /// The old build did not write it.
    Snapshot(Fault),
    /// The new build did not restore it.
    Restore(LoadError),
}

/// The state as the machine `to` has it.
pub(crate) fn migrate<M: Machine>(from: &mut M, state: &M::State, to: &mut M) -> Result<M::State, MigrateError> {
    let snapshot = from.snapshot(state).map_err(MigrateError::Snapshot)?;
    to.restore(&snapshot, from.state_version()).map_err(MigrateError::Restore)
}

fn load<M>(builds: &mut impl FnMut(Digest) -> Result<M, String>, digest: Digest) -> Result<M, ReplayError> {
    builds(digest).map_err(|why| ReplayError::Build { digest, why })
}
