//! Snapshots on trial: a snapshot becomes the base only after it was restored, away from the room.
//!
//! ```text
//!   taken ──poll_trial──▶ on trial ──Tried::Restored──▶ its checkpoint durable? ──▶ the base; poll_snapshot
//!     ▲                       ├──────Tried::Failed────▶ dropped, and reported
//!     └─────retry_trial───────└──────Tried::NotTried
//! ```
//!
//! The checkpoint goes to the log beside the trial, so that the snapshot is bound soon. Once a snapshot has failed, the next one's checkpoint waits
//! for its trial instead. So a state that cannot be restored does not add an event to the log each time the room wakes or tries again.
//!
//! Until then the room goes on from the snapshot before. A machine may write a snapshot that it cannot read, and such a snapshot would end the
//! room at its next fault or opening.

use std::sync::Arc;

use super::Sequencer;
use super::candidate::{Candidate, Checkpoint, Stage, Tried};
use crate::id::Seq;
use crate::machine::Machine;
use crate::report::Report;
use crate::snapshot::Snapshot;

impl<M: Machine> Sequencer<M> {
    /// Returns the machine of the current build, which also restores snapshots on trial.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Returns a snapshot to restore in an instance of its own. [`Sequencer::handle_tried`] takes the result.
    pub fn poll_trial(&mut self) -> Option<Arc<Snapshot>> {
        let candidate = self.candidate.as_mut().filter(|candidate| candidate.stage == Stage::Taken)?;
        candidate.stage = Stage::OnTrial;
        Some(Arc::clone(&candidate.snapshot))
    }

    /// Handles the outcome of the trial of the snapshot at `seq`. A snapshot that was given up meanwhile is ignored.
    pub fn handle_tried(&mut self, seq: Seq, tried: Tried) {
        let is_on_trial =
            |candidate: &mut Candidate| candidate.snapshot.seq == seq && candidate.stage == Stage::OnTrial;
        let Some(mut candidate) = self.candidate.take_if(is_on_trial) else { return };
        match tried {
            Tried::Restored => {
                candidate.stage = Stage::Restored;
                self.candidate = Some(candidate);
                self.bind_restored();
                self.stand_on_restored();
            }
            Tried::Failed(why) => {
                self.is_doubtful = true;
                self.snapshot_failed(Report::SnapshotUnrestorable { why });
            }
            Tried::NotTried => {
                candidate.stage = Stage::NotTried;
                self.candidate = Some(candidate);
            }
        }
    }

    /// Hands out a snapshot again whose trial could not be made.
    pub fn retry_trial(&mut self) {
        if let Some(candidate) = self.candidate.as_mut().filter(|candidate| candidate.stage == Stage::NotTried) {
            candidate.stage = Stage::Taken;
        }
    }

    /// Returns whether a snapshot waits for [`Sequencer::retry_trial`].
    #[must_use]
    pub fn is_trial_waiting(&self) -> bool {
        self.candidate.as_ref().is_some_and(|candidate| candidate.stage == Stage::NotTried) && !self.is_broken()
    }

    /// Returns whether a snapshot was taken, and is neither the base yet, nor given up, nor waiting for [`Sequencer::retry_trial`].
    #[must_use]
    pub fn is_trying(&self) -> bool {
        self.candidate.is_some() && !self.is_trial_waiting() && !self.is_broken()
    }

    /// Adds the checkpoint of a restored snapshot that was in doubt. If the log has gone on meanwhile, gives the snapshot up instead: a checkpoint
    /// follows its state soon. The next snapshot is not in doubt, and may be taken at once.
    fn bind_restored(&mut self) {
        let is_in_doubt = |candidate: &&Candidate| candidate.checkpoint == Checkpoint::Later;
        let Some(candidate) = self.candidate.as_ref().filter(is_in_doubt) else { return };
        let (seq, hash) = (candidate.snapshot.seq, candidate.hash);
        self.is_doubtful = false;
        if self.is_settled() && self.history.head() == seq && !self.is_broken() {
            self.push_checkpoint(seq, hash);
            self.note_checkpoint_pushed();
        } else {
            self.candidate = None;
            self.snapshot_due_bytes = 0;
        }
    }

    /// Makes the snapshot that was restored the base, once its checkpoint is durable.
    pub(super) fn stand_on_restored(&mut self) {
        let head = self.history.head();
        let Some(candidate) = self.candidate.take_if(|candidate| candidate.is_ready(head)) else { return };
        let Candidate { snapshot, hash, cost, tail_cost, .. } = candidate;
        self.costs.note_snapshot(cost, tail_cost);
        self.stand_on(snapshot, hash);
    }

    /// Notes the event that binds the candidate into the log.
    pub(super) fn note_checkpoint_pushed(&mut self) {
        let checkpoint = self.newest_seq();
        if let Some(candidate) = &mut self.candidate {
            candidate.checkpoint = Checkpoint::At(checkpoint);
        }
    }

    /// Gives up a candidate whose checkpoint was in a batch that was not stored.
    pub(super) fn give_up_unbound(&mut self) {
        let head = self.history.head();
        self.candidate.take_if(|candidate| matches!(candidate.checkpoint, Checkpoint::At(seq) if seq > head));
    }
}
