//! The places where a replay of a room's log may begin: its nearest snapshot, or an earlier one if that cannot be restored.
//!
//! A snapshot is only a shortcut. A machine may have written a snapshot that it can no longer read (for example, its bytes nest deeper than its
//! stack allows). The log before it still leads to the same state.

use std::sync::Arc;

use reapply_sync::{LoadError, ReplayError, RoomId, Seq, Snapshot};
use tracing::warn;

use reapply_journal::{Journal, JournalError, RoomRecord};

/// The places where a replay of a room may begin, the nearest first. The distance in snapshots doubles with each attempt, so that a room with many
/// snapshots is tried only a few times.
pub(crate) struct Starts<'a> {
    journal: &'a Arc<dyn Journal>,
    record: &'a RoomRecord,
    upto: Option<Seq>,
    /// The places that are left, the nearest last. `None` until the nearest snapshot has failed.
    earlier: Option<Vec<Start>>,
}

/// A place where a replay may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Genesis,
    Snapshot(Seq),
}

impl<'a> Starts<'a> {
    /// Returns the starts for a replay to `upto`, or to the head.
    pub(crate) fn new(journal: &'a Arc<dyn Journal>, record: &'a RoomRecord, upto: Option<Seq>) -> Self {
        Self { journal, record, upto, earlier: None }
    }

    /// Returns the nearest start: a snapshot, or `None` for the genesis.
    ///
    /// # Errors
    ///
    /// The journal fails.
    pub(crate) async fn nearest(&self) -> Result<Option<Snapshot>, JournalError> {
        self.journal.snapshot(&self.record.room, self.upto).await
    }

    /// Returns the next earlier start after one that failed with `why`: a snapshot, or the genesis (`Some(None)`). Returns `None` if an earlier start
    /// would not help, or none is left.
    ///
    /// # Errors
    ///
    /// The journal fails.
    pub(crate) async fn earlier(
        &mut self,
        failed: Option<Seq>,
        why: &ReplayError,
    ) -> Result<Option<Option<Snapshot>>, JournalError> {
        let Some(failed) = failed.filter(|&failed| is_unusable(failed, why)) else { return Ok(None) };
        let room = &self.record.room;
        warn!(%room, seq = %failed, %why, "a snapshot cannot be used; the state is made from an earlier one and the log");
        if self.earlier.is_none() {
            let snapshots = self.journal.snapshots(room).await?;
            let seqs = snapshots.iter().map(|snapshot| snapshot.seq).filter(|&seq| seq < failed).collect();
            self.earlier = Some(spread(seqs, self.record.base.is_none()));
        }
        match self.earlier.as_mut().and_then(Vec::pop) {
            Some(Start::Genesis) => Ok(Some(None)),
            Some(Start::Snapshot(seq)) => {
                let snapshot = self.journal.snapshot(room, Some(seq)).await?;
                snapshot.map_or_else(|| Err(missing(room, seq)), |snapshot| Ok(Some(Some(snapshot))))
            }
            None => Ok(None),
        }
    }
}

/// Returns whether a replay that began at the snapshot `seq` failed because of that snapshot itself.
fn is_unusable(seq: Seq, why: &ReplayError) -> bool {
    matches!(why, ReplayError::Load { seq: at, error: LoadError::Fault(_) | LoadError::Refused(_) } if *at == seq)
}

/// Returns the last of `seqs`, then earlier ones in steps of 2, 4 and so on, then the genesis or the first. They are in the order to pop them.
fn spread(seqs: Vec<Seq>, has_genesis: bool) -> Vec<Start> {
    let mut starts = Vec::new();
    let (mut left, mut step) = (seqs.len(), 1);
    while let Some(index) = left.checked_sub(step) {
        starts.push(Start::Snapshot(seqs[index]));
        (left, step) = (index, step * 2);
    }
    match seqs.first() {
        Some(&first) if !has_genesis && left > 0 => starts.push(Start::Snapshot(first)),
        _ => {}
    }
    if has_genesis {
        starts.push(Start::Genesis);
    }
    starts.reverse();
    starts
}

fn missing(room: &RoomId, seq: Seq) -> JournalError {
    JournalError::SnapshotMissing { room: room.clone(), seq }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_of(count: u64, has_genesis: bool) -> Vec<u64> {
        let mut starts = spread((1..=count).map(Seq).collect(), has_genesis);
        let mut found = Vec::new();
        while let Some(start) = starts.pop() {
            found.push(match start {
                Start::Genesis => 0,
                Start::Snapshot(seq) => seq.0,
            });
        }
        found
    }

    #[test]
    fn starts_lie_ever_further_back_and_end_where_the_log_begins() {
        assert_eq!(spread_of(0, true), [0]);
        assert_eq!(spread_of(1, true), [1, 0]);
        assert_eq!(spread_of(10, true), [10, 8, 4, 0]);
        assert_eq!(spread_of(10, false), [10, 8, 4, 1]);
        assert_eq!(spread_of(7, false), [7, 5, 1]);
        assert!(spread_of(0, false).is_empty());
        assert!(spread_of(100_000, true).len() < 20);
    }
}
