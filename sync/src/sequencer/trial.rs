//! Snapshots on trial: a snapshot becomes the base only after it was restored, away from the room.
//!
//! ```text
//!   taken ──poll_trial──▶ on trial ──handle_tried: restored──▶ its checkpoint durable? ──▶ the base; poll_snapshot
//!                             └──────handle_tried: failed────▶ dropped, and reported
//! ```
//!
//! Until then the room goes on from the snapshot before. A machine may write a snapshot that it cannot read, and such a snapshot would end the
//! room at its next fault or opening.

use std::sync::Arc;

use super::Sequencer;
use super::candidate::{Candidate, Stage};
use crate::id::Seq;
use crate::machine::Machine;
use crate::report::Report;
use crate::snapshot::Snapshot;

impl<M: Machine> Sequencer<M> {
    /// Returns a snapshot to restore in an instance of its own. [`Sequencer::handle_tried`] takes the result.
    pub fn poll_trial(&mut self) -> Option<Arc<Snapshot>> {
        let candidate = self.candidate.as_mut().filter(|candidate| candidate.stage == Stage::Taken)?;
        candidate.stage = Stage::OnTrial;
        Some(Arc::clone(&candidate.snapshot))
    }

    /// Handles that the snapshot at `seq` was restored, or was not, with the reason. A snapshot that was given up meanwhile is ignored.
    pub fn handle_tried(&mut self, seq: Seq, tried: Result<(), String>) {
        let is_on_trial =
            |candidate: &mut Candidate| candidate.snapshot.seq == seq && candidate.stage == Stage::OnTrial;
        let Some(mut candidate) = self.candidate.take_if(is_on_trial) else { return };
        match tried {
            Ok(()) => {
                candidate.stage = Stage::Restored;
                self.candidate = Some(candidate);
                self.stand_on_restored();
            }
            Err(why) => self.snapshot_failed(Report::SnapshotUnrestorable { why }),
        }
    }

    /// Returns whether a snapshot was taken, and is neither the base yet nor given up.
    #[must_use]
    pub fn is_trying(&self) -> bool {
        self.candidate.is_some() && !self.is_broken()
    }

    /// Makes the snapshot that was restored the base, once its checkpoint is durable.
    pub(super) fn stand_on_restored(&mut self) {
        let head = self.history.head();
        let is_ready =
            |candidate: &mut Candidate| candidate.is_restored() && candidate.checkpoint.is_none_or(|seq| seq <= head);
        let Some(candidate) = self.candidate.take_if(is_ready) else { return };
        let Candidate { snapshot, hash, cost, tail_cost, .. } = candidate;
        self.costs.note_snapshot(cost, tail_cost);
        self.stand_on(snapshot, hash);
    }

    /// Notes the event that binds the candidate into the log.
    pub(super) fn note_checkpoint_pushed(&mut self) {
        let checkpoint = self.newest_seq();
        if let Some(candidate) = &mut self.candidate {
            candidate.checkpoint = Some(checkpoint);
        }
    }

    /// Gives up a candidate whose checkpoint was in a batch that was not stored.
    pub(super) fn give_up_unbound(&mut self) {
        let head = self.history.head();
        self.candidate.take_if(|candidate| candidate.checkpoint.is_some_and(|seq| seq > head));
    }
}
