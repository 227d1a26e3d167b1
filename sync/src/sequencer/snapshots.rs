//! Snapshots: when a room takes them, and the checkpoints that bind them into its log.

use bytes::Bytes;

use super::Sequencer;
use crate::event::Input;
use crate::id::Seq;
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

    /// Takes a snapshot of the durable state now, if there are events since the last one: before a room goes to sleep. No checkpoint in the
    /// log speaks of it.
    pub fn take_snapshot(&mut self) {
        if self.history.bytes_after_base() > 0 && !self.broken && !self.is_lost {
            self.snapshot_durable();
        }
    }

    /// Whether a snapshot is taken once the batch that is with the journal is durable.
    #[must_use]
    pub fn is_snapshot_next(&self) -> bool {
        let Some((batch, _)) = &self.in_flight else { return false };
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

    /// Takes a snapshot of the durable state, and says so in the log; unless that was tried in vain, and the log has not grown much since.
    pub(super) fn take_snapshot_if_possible(&mut self) {
        let is_possible = !self.broken && !self.is_lost && self.upgrade.is_none();
        if is_possible && self.history.bytes_after_base() > self.snapshot_due_bytes && self.snapshot_durable() {
            self.push_checkpoint();
        }
    }

    /// Whether the events after the last snapshot, of so many bytes and up to `head`, call for another.
    fn is_snapshot_due(&self, bytes: usize, head: Seq, is_tail_dear: bool) -> bool {
        if bytes <= self.snapshot_due_bytes || is_tail_dear {
            return bytes > self.snapshot_due_bytes;
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

    /// Answers whether it was taken.
    fn snapshot_durable(&mut self) -> bool {
        let written = self.machine.snapshot(&self.durable);
        let cost = self.machine.take_cost();
        match written {
            Ok(state) if state.len() <= self.limits.snapshot_bytes_max => {
                self.rebase(state, cost);
                return true;
            }
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
        false
    }

    /// Tried again when the tail has doubled, so that a machine that cannot do it costs little; and when the room has become overfull, which is said
    /// once.
    fn snapshot_failed(&mut self, report: Report) {
        let (bytes, bytes_max) = (self.history.bytes_after_base(), self.overfull_bytes());
        if bytes < bytes_max {
            self.snapshot_due_bytes = (bytes * 2).min(bytes_max - 1);
            self.reports.push_back(report);
        } else {
            self.snapshot_due_bytes = usize::MAX;
            if !std::mem::replace(&mut self.is_overfull_told, true) {
                self.reports.push_back(report);
                self.reports.push_back(Report::Overfull { bytes });
            }
        }
    }

    /// The durable state, whose bytes are `state`, is what newcomers and recoveries start from; and the log says so.
    pub(super) fn stand_on(&mut self, state: Bytes, cost: u64) {
        self.rebase(state, cost);
        self.push_checkpoint();
    }

    fn rebase(&mut self, state: Bytes, cost: u64) {
        self.costs.note_snapshot(cost);
        (self.snapshot_due_bytes, self.is_overfull_told) = (0, false);
        self.history.rebase(Snapshot {
            seq: self.history.head(),
            digest: self.digest,
            state_version: self.machine.state_version(),
            time: self.durable_time,
            chain: self.history.chain(),
            clients: self.clients.record(self.durable_time),
            forgotten: self.clients.forgotten(),
            present: self.durable_present.iter().cloned().collect(),
            state,
        });
        self.snapshot = Some(self.history.base());
    }

    fn push_checkpoint(&mut self) {
        let base = self.history.base();
        self.push_own(Input::Checkpoint { seq: base.seq, hash: base.state_hash() }, self.time);
    }
}
