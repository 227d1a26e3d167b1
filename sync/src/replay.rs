//! Replaying a log: from its genesis or a snapshot, each range with the build that was current there.
//!
//! Waking a room, showing the past, proving an export, and a page's history all use this.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::event::{Event, Genesis, Input};
use crate::id::{Digest, Seq, Timestamp};
use crate::machine::{ApplyError, Fault, LoadError, Machine};
use crate::snapshot::Snapshot;

/// The number of states of earlier batch ends that a checkpoint may still refer to: it comes one or two batches after its state.
const MARKS_MAX: usize = 4;

/// A place in a log, and the state there. `B` makes a machine of the build with a given digest.
#[derive(Debug)]
pub struct Replay<M: Machine, B> {
    builds: B,
    machine: M,
    digest: Digest,
    state: M::State,
    /// The place where this replay began.
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

/// The state at a batch's end, and the seqs at which it was current.
#[derive(Debug)]
struct Mark<S> {
    since: Seq,
    upto: Seq,
    state: S,
}

/// The reasons why a log could not be replayed. Each names the first event that fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The build is unavailable, or does not start.
    #[error("the build {digest} cannot be run: {why}")]
    Build {
        /// The digest of the build.
        digest: Digest,
        /// The reason.
        why: String,
    },
    /// The first state, a snapshot's, or a migrated one could not be made.
    #[error("the state at {seq} could not be made: {error}")]
    Load {
        /// The seq of the state.
        seq: Seq,
        /// The reason.
        error: LoadError,
    },
    /// The machine did not apply an event that it had applied once.
    #[error("event {seq} could not be applied again: {error}")]
    Apply {
        /// The seq of the event.
        seq: Seq,
        /// The reason.
        error: ApplyError,
    },
    /// The machine did not write a snapshot.
    #[error("no snapshot could be taken of the state at {seq}: {fault}")]
    Snapshot {
        /// The seq of the state.
        seq: Seq,
        /// The reason.
        fault: Fault,
    },
    /// An event does not follow the one before.
    #[error("event {found} was found where {expected} should be")]
    Disordered {
        /// The expected seq.
        expected: Seq,
        /// The actual seq.
        found: Seq,
    },
    /// A checkpoint in the log has another hash than its state.
    #[error("event {event} says that the snapshot at {seq} has the hash {logged}, and it has {found}")]
    Checkpoint {
        /// The checkpoint's own event.
        event: Seq,
        /// The seq of the state that it refers to.
        seq: Seq,
        /// The hash in the log.
        logged: Digest,
        /// The hash of the state; `None` if the checkpoint does not refer to a possible state.
        found: Found,
    },
}

impl ReplayError {
    /// Returns whether the machine broke off: with more stack, fuel or memory it might not.
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
    /// The hash of the state.
    Hash(Digest),
    /// No hash: no batch ends at that seq shortly before the checkpoint.
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
    /// Begins at the genesis of a log.
    ///
    /// # Errors
    ///
    /// The build is unavailable, or does not make the first state.
    pub fn from_genesis(mut builds: B, genesis: &Genesis) -> Result<Self, ReplayError> {
        let mut machine = load(&mut builds, genesis.digest)?;
        let created = machine.create(&genesis.options);
        let state = created.map_err(|error| ReplayError::Load { seq: Seq(0), error })?;
        Ok(Self::at(builds, machine, genesis.digest, state, Seq(0), genesis.time))
    }

    /// Begins at a snapshot.
    ///
    /// # Errors
    ///
    /// The build is unavailable, or does not restore the snapshot.
    pub fn from_snapshot(mut builds: B, snapshot: &Snapshot) -> Result<Self, ReplayError> {
        let mut machine = load(&mut builds, snapshot.digest)?;
        let restored = machine.restore(&snapshot.state, snapshot.state_version);
        let state = restored.map_err(|error| ReplayError::Load { seq: snapshot.seq, error })?;
        Ok(Self::at(builds, machine, snapshot.digest, state, snapshot.seq, snapshot.time))
    }

    /// Compares the log's checkpoints with their states from here on, as far as those lie within this replay.
    /// Needs [`Replay::end_batch`].
    pub fn check_checkpoints(&mut self, checks: bool) {
        self.checks = checks;
        // A snapshot is at the end of a batch, so a checkpoint may refer to the first state.
        self.is_marked = checks && self.seq == self.origin;
    }

    /// Applies one more event, and returns the new state. After an error nothing has moved, but the machine may have faulted: then it must
    /// not be used again.
    ///
    /// # Errors
    ///
    /// The event does not follow, or does not have the same result as before.
    pub fn apply(&mut self, event: &Event) -> Result<(), ReplayError> {
        if event.seq != self.seq.next() {
            return Err(ReplayError::Disordered { expected: self.seq.next(), found: event.seq });
        }
        match &event.input {
            Input::Upgraded(digest) => self.upgrade(*digest, event.seq)?,
            // A checkpoint of a state before the origin came a batch or two late: that state is out of reach here.
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

    /// Marks the end of a batch: a checkpoint may refer to this state.
    pub fn end_batch(&mut self) {
        self.is_marked = self.checks;
    }

    /// Returns the last event in the current state.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Returns that event's time.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Returns the current build.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the machine, and the current state. If the machine faults in the caller's use, this replay must not be used again.
    pub fn state(&mut self) -> (&mut M, &M::State) {
        (&mut self.machine, &self.state)
    }

    /// Returns the version and the bytes of the current state.
    ///
    /// # Errors
    ///
    /// The machine faults.
    pub fn snapshot(&mut self) -> Result<(u32, Bytes), Fault> {
        Ok((self.machine.state_version(), self.machine.snapshot(&self.state)?))
    }

    /// Returns the machine and the current state, for further use.
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

    /// Moves to the next state, and keeps the one before if a checkpoint may refer to it.
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
        // Those states belong to the build before.
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

/// The reasons why another build could not take a state over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MigrateError {
    /// The old build did not write it.
    Snapshot(Fault),
    /// The new build did not restore it.
    Restore(LoadError),
}

/// Returns the state as the machine `to` restores it.
pub(crate) fn migrate<M: Machine>(from: &mut M, state: &M::State, to: &mut M) -> Result<M::State, MigrateError> {
    let snapshot = from.snapshot(state).map_err(MigrateError::Snapshot)?;
    to.restore(&snapshot, from.state_version()).map_err(MigrateError::Restore)
}

fn load<M>(builds: &mut impl FnMut(Digest) -> Result<M, String>, digest: Digest) -> Result<M, ReplayError> {
    builds(digest).map_err(|why| ReplayError::Build { digest, why })
}
