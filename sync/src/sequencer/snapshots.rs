//! Snapshots: the times when a room takes them, and the checkpoints that bind them into its log.

use std::sync::Arc;

use bytes::Bytes;

use super::Sequencer;
use super::candidate::{Candidate, Checkpoint};
use super::policy::SnapshotPolicy;
use crate::event::Input;
use crate::id::{Digest, Seq};
use crate::limits::{OVERFULL_TAIL_RATIO, SNAPSHOT_TAIL_BYTES_MIN, SNAPSHOT_TAIL_RATIO, SNAPSHOT_TAIL_RATIO_MAX};
use crate::machine::Machine;
use crate::message::Rejection;
use crate::report::Report;
use crate::snapshot::Snapshot;

/// The approximate bytes of a checkpoint in the log.
const CHECKPOINT_BYTES: u64 = 64;

impl<M: Machine> Sequencer<M> {
    /// Sets the policy for snapshots from now on.
    pub fn set_snapshot_policy(&mut self, policy: SnapshotPolicy) {
        self.snapshot_policy = policy;
    }

    /// Writes the durable state as a snapshot, which becomes neither the base nor a checkpoint. Returns `None` if the machine or a limit
    /// prevents it.
    pub fn write_snapshot(&mut self) -> Option<Snapshot> {
        self.write_durable().map(|(state, _)| self.snapshot_of(state))
    }

    /// Takes a snapshot before a room goes to sleep, if the events since the last one outgrow it, or another is due anyway.
    pub(crate) fn take_snapshot_for_sleep(&mut self) {
        let bytes = self.history.bytes_after_base();
        let is_outgrown = bytes > self.history.base().state.len().max(self.limits.sleep_tail_bytes_min);
        if is_outgrown || self.is_snapshot_due(bytes, self.history.head(), self.costs.tail()) {
            self.take_snapshot_if_possible();
        }
    }

    /// Returns whether a snapshot is taken once the batch that is with the journal is durable.
    #[must_use]
    pub fn is_snapshot_next(&self) -> bool {
        let Some((batch, _)) = &self.in_flight else { return false };
        if self.candidate.as_ref().is_some_and(Candidate::is_restored) {
            // The snapshot may become the base with that batch, and the events after it may call for another at once.
            return true;
        }
        let bytes = self.history.bytes_after_base() + batch.body.len();
        self.is_snapshot_due(bytes, batch.last(), self.costs.next_tail())
    }

    /// Returns whether the room could not take a snapshot for so long that it takes no more transitions. It still takes joins and leaves, up to
    /// twice that bound: see [`Sequencer::is_closed`].
    #[must_use]
    pub fn is_overfull(&self) -> bool {
        self.history.bytes_after_base() >= self.overfull_bytes()
    }

    /// Returns whether an overfull room has no space left for the joins of newcomers either.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.history.bytes_after_base() >= 2 * self.overfull_bytes()
    }

    /// Tries again to take a snapshot in an overfull room: now, or as soon as that is possible.
    pub fn retry_snapshot(&mut self) {
        if self.is_overfull() {
            self.snapshot_due_bytes = 0;
            self.take_snapshot_if_possible();
        }
    }

    pub(super) fn overfull(&self) -> Option<Rejection> {
        let (bytes, bytes_max) = (self.history.bytes_after_base(), self.overfull_bytes());
        let overfull = Rejection::Overfull { bytes: bytes as u64, bytes_max: bytes_max as u64 };
        (bytes >= bytes_max).then_some(overfull)
    }

    fn overfull_bytes(&self) -> usize {
        self.limits.overfull_tail_bytes_min.max(self.history.base().state.len() * OVERFULL_TAIL_RATIO)
    }

    pub(super) fn take_snapshot_if_due(&mut self) {
        if self.is_snapshot_due(self.history.bytes_after_base(), self.history.head(), self.costs.tail()) {
            self.take_snapshot_if_possible();
        }
    }

    /// Takes a snapshot of the durable state, and adds its checkpoint to the log, unless the snapshot is in doubt. Does nothing while the one
    /// before is on trial, or if the last try failed and the log has not grown much since.
    pub(super) fn take_snapshot_if_possible(&mut self) {
        let is_possible = !self.is_lost && self.upgrade.is_none() && self.candidate.is_none();
        if !is_possible || self.history.bytes_after_base() <= self.snapshot_due_bytes {
            return;
        }
        let Some((state, cost)) = self.write_durable() else { return };
        let snapshot = Arc::new(self.snapshot_of(state));
        let (seq, hash) = (snapshot.seq, snapshot.state_hash());
        self.candidate = Some(Candidate::new(snapshot, hash, Checkpoint::Later, cost, self.costs.tail()));
        if !self.is_doubtful {
            self.push_checkpoint(seq, hash);
            self.note_checkpoint_pushed();
        }
    }

    /// Returns whether the events after the last snapshot call for another. They have this many bytes and this
    /// cost, and end at `head`.
    fn is_snapshot_due(&self, bytes: usize, head: Seq, cost: u64) -> bool {
        if bytes <= self.snapshot_due_bytes || self.candidate.is_some() {
            return false;
        }
        if self.costs.is_dear(cost, self.limits.tail_cost_min) {
            return true;
        }
        // This holds for any policy: it is a room's last chance before it is overfull.
        if bytes >= self.overfull_bytes() {
            return true;
        }
        let SnapshotPolicy { events: events_max, bytes: bytes_max } = self.snapshot_policy;
        if events_max.is_none() && bytes_max.is_none() {
            let outgrows =
                |ratio: usize| bytes > (self.history.base().state.len() * ratio).max(SNAPSHOT_TAIL_BYTES_MIN);
            return outgrows(SNAPSHOT_TAIL_RATIO)
                && (self.costs.is_worth_snapshot(cost) || outgrows(SNAPSHOT_TAIL_RATIO_MAX));
        }
        // The checkpoint of the last snapshot does not call for another.
        let events = head.0 - self.history.base().seq.0;
        events_max.is_some_and(|max| events > max.max(1))
            || bytes_max.is_some_and(|max| bytes as u64 > max.max(CHECKPOINT_BYTES))
    }

    /// Writes the durable state. Returns its bytes and the cost. Returns `None` if the machine or a limit prevents it, which is reported.
    fn write_durable(&mut self) -> Option<(Bytes, u64)> {
        if self.is_broken() || self.is_lost {
            return None;
        }
        let written = self.machine.snapshot(&self.durable);
        let cost = self.machine.take_cost();
        match written {
            Ok(state) if state.len() <= self.limits.snapshot_bytes_max => return Some((state, cost)),
            Ok(state) => {
                let bytes_max = self.limits.snapshot_bytes_max;
                self.snapshot_failed(Report::SnapshotTooLarge { bytes: state.len(), bytes_max });
            }
            Err(fault) => {
                // A snapshot that a slice broke off is taken once the states are recovered.
                if !self.machine.is_interrupted() {
                    self.snapshot_failed(Report::FunctionFaulted { function: "snapshot", fault });
                }
                self.lose();
            }
        }
        None
    }

    /// Notes a failed snapshot. It is tried again when the tail has doubled, and when the room becomes overfull. So a machine that cannot write
    /// one costs little. That the room is overfull is reported once, and so is each cause, until a snapshot succeeds.
    pub(super) fn snapshot_failed(&mut self, report: Report) {
        let (bytes, bytes_max) = (self.history.bytes_after_base(), self.overfull_bytes());
        let is_overfull = bytes >= bytes_max;
        self.snapshot_due_bytes = if is_overfull { usize::MAX } else { (bytes * 2).min(bytes_max - 1) };
        if is_overfull && self.is_overfull_told {
            return;
        }
        if self.snapshot_failure.as_ref() != Some(&report) {
            self.snapshot_failure = Some(report.clone());
            self.reports.push_back(report);
        }
        if is_overfull {
            self.is_overfull_told = true;
            self.reports.push_back(Report::Overfull { bytes });
        }
    }

    /// Makes `state` the start for newcomers and recoveries, and adds its checkpoint to the log. The build that has just taken over was
    /// restored from it before.
    pub(super) fn stand_on_upgraded(&mut self, state: Bytes, cost: u64) {
        let snapshot = Arc::new(self.snapshot_of(state));
        let (seq, hash) = (snapshot.seq, snapshot.state_hash());
        // A candidate of the former build is useless now.
        self.candidate = None;
        self.costs.note_snapshot(cost, self.costs.tail());
        self.stand_on(snapshot, hash);
        self.push_checkpoint(seq, hash);
    }

    /// Makes this snapshot the start for newcomers and recoveries. The journal stores it.
    pub(super) fn stand_on(&mut self, snapshot: Arc<Snapshot>, hash: Digest) {
        (self.snapshot_due_bytes, self.is_overfull_told, self.snapshot_failure) = (0, false, None);
        self.is_doubtful = false;
        self.history.rebase(Arc::clone(&snapshot), hash);
        self.snapshot = Some(snapshot);
    }

    /// Returns the snapshot of the durable state, whose bytes are `state`.
    fn snapshot_of(&mut self, state: Bytes) -> Snapshot {
        Snapshot {
            seq: self.history.head(),
            digest: self.digest,
            state_version: self.machine.state_version(),
            time: self.durable_time,
            chain: self.history.chain(),
            clients: self.clients.record(self.durable_time),
            forgotten: self.clients.forgotten(),
            present: self.durable_present.iter().cloned().collect(),
            state,
        }
    }

    /// Adds the hash of the state at `seq` to the log, and makes sessions compare theirs.
    pub(super) fn push_checkpoint(&mut self, seq: Seq, hash: Digest) {
        self.history.note_checkpoint(seq, hash);
        self.push_own(Input::Checkpoint { seq, hash }, self.time);
    }
}
