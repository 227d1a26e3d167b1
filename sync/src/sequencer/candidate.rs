//! A snapshot that may become a room's base.

use std::sync::Arc;

use crate::id::{Digest, Seq};
use crate::snapshot::Snapshot;

/// A snapshot that was taken, and is not the base yet.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) hash: Digest,
    pub(super) checkpoint: Checkpoint,
    /// The cost of writing the snapshot; below, the cost of the tail up to it.
    pub(super) cost: u64,
    pub(super) tail_cost: u64,
    pub(super) stage: Stage,
}

/// The event that binds a candidate into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checkpoint {
    /// The log needs none: the upgrade binds its own snapshot.
    Needless,
    /// The event is in the log, or in a batch on its way there.
    At(Seq),
    /// The event is added once the snapshot was restored.
    Later,
}

/// The outcome of a snapshot's trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The build restored the snapshot.
    Restored,
    /// The build did not restore the snapshot, for this reason.
    Failed(String),
    /// The trial could not be made, so nothing is known of the snapshot. The owner tries again later.
    NotTried,
}

/// The progress of a snapshot's trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Taken,
    OnTrial,
    /// The trial could not be made, and waits until it is tried again.
    NotTried,
    Restored,
}

impl Candidate {
    /// Returns a candidate that nobody has tried yet.
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        hash: Digest,
        checkpoint: Checkpoint,
        cost: u64,
        tail_cost: u64,
    ) -> Self {
        Self { snapshot, hash, checkpoint, cost, tail_cost, stage: Stage::Taken }
    }

    /// Returns whether the snapshot may become the base of a log whose last durable event is `head`.
    pub(super) fn is_ready(&self, head: Seq) -> bool {
        let is_bound = match self.checkpoint {
            Checkpoint::Needless => true,
            Checkpoint::At(seq) => seq <= head,
            Checkpoint::Later => false,
        };
        is_bound && self.is_restored()
    }

    /// Returns whether the snapshot was restored, and waits for its checkpoint.
    pub(super) fn is_restored(&self) -> bool {
        self.stage == Stage::Restored
    }
}
