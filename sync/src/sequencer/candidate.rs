//! A snapshot that may become a room's base.

use std::sync::Arc;

use crate::id::{Digest, Seq};
use crate::snapshot::Snapshot;

/// A snapshot that was taken, and is not the base yet.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) hash: Digest,
    /// The event that binds the snapshot into the log; `None` if the log needs none.
    pub(super) checkpoint: Option<Seq>,
    /// The cost of writing the snapshot; below, the cost of the tail up to it.
    pub(super) cost: u64,
    pub(super) tail_cost: u64,
    pub(super) stage: Stage,
}

/// The progress of a snapshot's trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Taken,
    OnTrial,
    Restored,
}

impl Candidate {
    /// Returns a candidate that nobody has tried yet.
    pub(super) fn new(snapshot: Arc<Snapshot>, hash: Digest, cost: u64, tail_cost: u64) -> Self {
        Self { snapshot, hash, checkpoint: None, cost, tail_cost, stage: Stage::Taken }
    }

    /// Returns whether the snapshot was restored, and waits for its checkpoint.
    pub(super) fn is_restored(&self) -> bool {
        self.stage == Stage::Restored
    }
}
