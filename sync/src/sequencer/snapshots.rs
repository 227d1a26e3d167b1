//! Snapshots: when a room takes them, and the checkpoints that bind them into its log.

use std::sync::Arc;

use bytes::Bytes;

use super::Sequencer;
use super::candidate::Candidate;
use crate::event::Input;
use crate::id::{Digest, Seq};
use crate::limits::{OVERFULL_TAIL_RATIO, SNAPSHOT_TAIL_BYTES_MIN, SNAPSHOT_TAIL_RATIO};
use crate::machine::Machine;
use crate::message::Rejection;
use crate::report::Report;
use crate::snapshot::Snapshot;

/// Bytes that a checkpoint takes in the log, about.
const CHECKPOINT_BYTES: u64 = 64;

/// When a room takes a snapshot: whichever comes first. With neither, when the events since the last one outgrow it (see
/// [`SNAPSHOT_TAIL_BYTES_MIN`]). Always when applying those events again would cost more than [`TAIL_COST_MIN`](crate::limits::TAIL_COST_MIN).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// After so many events.
    pub events: Option<u64>,
    /// After so many bytes of events.
    pub bytes: Option<u64>,
}

impl<M: Machine> Sequencer<M> {
    /// When to take snapshots from now on.
    pub fn set_snapshot_policy(&mut self, policy: SnapshotPolicy) {
        self.snapshot_policy = policy;
    }

    /// Writes the durable state as a snapshot, which becomes neither the base nor a checkpoint. `None` if the machine or a limit prevents it.
    pub fn write_snapshot(&mut self) -> Option<Snapshot> {
        self.write_durable().map(|(state, _)| self.snapshot_of(state))
    }

    /// Takes a snapshot before a room goes to sleep, if the events since the last one outgrow it, or call for another anyway.
    pub(crate) fn take_snapshot_for_sleep(&mut self) {
        let bytes = self.history.bytes_after_base();
        let is_outgrown = bytes > self.history.base().state.len().max(self.limits.sleep_tail_bytes_min);
        let is_tail_dear = self.costs.is_tail_dear(self.limits.tail_cost_min);
        if is_outgrown || self.is_snapshot_due(bytes, self.history.head(), is_tail_dear) {
            self.take_snapshot_if_possible();
        }
    }

    /// Whether a snapshot is taken once the batch that is with the journal is durable.
    #[must_use]
    pub fn is_snapshot_next(&self) -> bool {
        let Some((batch, _)) = &self.in_flight else { return false };
        if self.candidate.as_ref().is_some_and(Candidate::is_restored) {
            // It may become the base with that batch, and the events after it may call for another at once.
            return true;
        }
        let is_tail_dear = self.costs.is_next_tail_dear(self.limits.tail_cost_min);
        self.is_snapshot_due(self.history.bytes_after_base() + batch.body.len(), batch.last(), is_tail_dear)
    }

    /// Whether the room could not take a snapshot for so long that it takes no more transitions. Joins and leaves it takes, up to twice
    /// that: see [`Sequencer::is_closed`].
    #[must_use]
    pub fn is_overfull(&self) -> bool {
        self.history.bytes_after_base() >= self.overfull_bytes()
    }

    /// Whether an overfull room has no place for the joins of newcomers either.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.history.bytes_after_base() >= 2 * self.overfull_bytes()
    }

    /// Tries again to take a snapshot, in a room that is overfull: now, or as soon as that is possible.
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
        let is_tail_dear = self.costs.is_tail_dear(self.limits.tail_cost_min);
        if self.is_snapshot_due(self.history.bytes_after_base(), self.history.head(), is_tail_dear) {
            self.take_snapshot_if_possible();
        }
    }

    /// Takes a snapshot of the durable state, and says so in the log; unless that was tried in vain, and the log has not grown much since, or
    /// the one before is still on trial.
    pub(super) fn take_snapshot_if_possible(&mut self) {
        let is_possible = !self.is_lost && self.upgrade.is_none() && self.candidate.is_none();
        if !is_possible || self.history.bytes_after_base() <= self.snapshot_due_bytes {
            return;
        }
        let Some((state, cost)) = self.write_durable() else { return };
        let snapshot = Arc::new(self.snapshot_of(state));
        let (seq, hash) = (snapshot.seq, snapshot.state_hash());
        self.candidate = Some(Candidate::new(snapshot, hash, cost, self.costs.tail()));
        self.push_checkpoint(seq, hash);
        self.note_checkpoint_pushed();
    }

    /// Whether the events after the last snapshot, of so many bytes and up to `head`, call for another.
    fn is_snapshot_due(&self, bytes: usize, head: Seq, is_tail_dear: bool) -> bool {
        if bytes <= self.snapshot_due_bytes || self.candidate.is_some() {
            return false;
        }
        if is_tail_dear {
            return true;
        }
        // Whatever the policy: it is a room's last chance before it is overfull.
        if bytes >= self.overfull_bytes() {
            return true;
        }
        let SnapshotPolicy { events: events_max, bytes: bytes_max } = self.snapshot_policy;
        if events_max.is_none() && bytes_max.is_none() {
            return bytes > (self.history.base().state.len() * SNAPSHOT_TAIL_RATIO).max(SNAPSHOT_TAIL_BYTES_MIN);
        }
        // The checkpoint of the last one does not call for another.
        let events = head.0 - self.history.base().seq.0;
        events_max.is_some_and(|max| events > max.max(1))
            || bytes_max.is_some_and(|max| bytes as u64 > max.max(CHECKPOINT_BYTES))
    }

    /// Writes the durable state. Returns its bytes, and what that has cost; `None` if the machine or a limit prevents it, which is reported.
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
                // One that a slice broke off is taken once the states are there again.
                if !self.machine.is_interrupted() {
                    self.snapshot_failed(Report::FunctionFaulted { function: "snapshot", fault });
                }
                self.lose();
            }
        }
        None
    }

    /// Tried again when the tail has doubled, so that a machine that cannot do it costs little; and when the room has become overfull, which is said
    /// once. So is each cause, until a snapshot succeeds.
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

    /// The build that has just taken over was restored from `state` before: newcomers and recoveries start there; and the log says so.
    pub(super) fn stand_on_upgraded(&mut self, state: Bytes, cost: u64) {
        let snapshot = Arc::new(self.snapshot_of(state));
        let (seq, hash) = (snapshot.seq, snapshot.state_hash());
        // That of the build before is of no use any more.
        self.candidate = None;
        self.costs.note_snapshot(cost, self.costs.tail());
        self.stand_on(snapshot, hash);
        self.push_checkpoint(seq, hash);
    }

    /// From here on newcomers and recoveries start from this snapshot, and the journal stores it.
    pub(super) fn stand_on(&mut self, snapshot: Arc<Snapshot>, hash: Digest) {
        (self.snapshot_due_bytes, self.is_overfull_told, self.snapshot_failure) = (0, false, None);
        self.history.rebase(Arc::clone(&snapshot), hash);
        self.snapshot = Some(snapshot);
    }

    /// The durable state, whose bytes are `state`, with all that belongs to it.
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

    /// Has the log say, and sessions compare, what the state at `seq` is.
    fn push_checkpoint(&mut self, seq: Seq, hash: Digest) {
        self.history.note_checkpoint(seq, hash);
        self.push_own(Input::Checkpoint { seq, hash }, self.time);
    }
}
