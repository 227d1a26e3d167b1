//! Snapshots: when a room takes them, and the checkpoints that bind them into its log.

use bytes::Bytes;

use super::Sequencer;
use crate::event::Input;
use crate::limits::{SNAPSHOT_TAIL_BYTES_MIN, SNAPSHOT_TAIL_RATIO};
use crate::machine::Machine;
use crate::report::Report;
use crate::snapshot::Snapshot;

/// Bytes that a checkpoint takes in the log, about.
const CHECKPOINT_BYTES: u64 = 64;

/// When a room takes a snapshot: whichever comes first. With neither, when the events since the last one outgrow it (see
/// [`SNAPSHOT_TAIL_BYTES_MIN`]).
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
        if self.history.bytes_after_base() > 0 && !self.broken {
            self.snapshot_durable();
        }
    }

    pub(super) fn take_snapshot_if_due(&mut self) {
        if self.broken || !self.is_snapshot_due() || !self.snapshot_durable() {
            return;
        }
        self.push_checkpoint();
    }

    fn is_snapshot_due(&self) -> bool {
        let bytes = self.history.bytes_after_base();
        if bytes <= self.snapshot_due_bytes {
            return false;
        }
        let SnapshotPolicy { events: events_max, bytes: bytes_max } = self.snapshot_policy;
        if events_max.is_none() && bytes_max.is_none() {
            return bytes > (self.history.base().state.len() * SNAPSHOT_TAIL_RATIO).max(SNAPSHOT_TAIL_BYTES_MIN);
        }
        // The checkpoint of the last one does not call for another.
        let events = self.history.head().0 - self.history.base().seq.0;
        events_max.is_some_and(|max| events > max.max(1))
            || bytes_max.is_some_and(|max| bytes as u64 > max.max(CHECKPOINT_BYTES))
    }

    /// Answers whether it was taken.
    fn snapshot_durable(&mut self) -> bool {
        match self.machine.snapshot(&self.durable) {
            Ok(state) if state.len() <= self.limits.snapshot_bytes_max => {
                self.rebase(state);
                return true;
            }
            // Tried again when the tail has doubled, so that a machine that cannot do it costs little.
            Ok(state) => {
                self.snapshot_due_bytes = self.history.bytes_after_base() * 2;
                let bytes_max = self.limits.snapshot_bytes_max;
                self.reports.push_back(Report::SnapshotTooLarge { bytes: state.len(), bytes_max });
            }
            Err(fault) => {
                self.snapshot_due_bytes = self.history.bytes_after_base() * 2;
                self.handle_fault("snapshot", fault);
            }
        }
        false
    }

    /// The durable state, whose bytes are `state`, is what newcomers and recoveries start from; and the log says so.
    pub(super) fn stand_on(&mut self, state: Bytes) {
        self.rebase(state);
        self.push_checkpoint();
    }

    fn rebase(&mut self, state: Bytes) {
        self.snapshot_due_bytes = 0;
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
