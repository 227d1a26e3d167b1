//! The times when a room takes snapshots.

/// The conditions under which a room takes a snapshot, whichever is met first. Without conditions, it takes one when the events since the last
/// one outgrow it (see [`SNAPSHOT_TAIL_BYTES_MIN`](crate::limits::SNAPSHOT_TAIL_BYTES_MIN)). In any case it takes one when applying those events again would cost more than
/// [`TAIL_COST_MIN`](crate::limits::TAIL_COST_MIN).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// The number of events after which a snapshot is due.
    pub events: Option<u64>,
    /// The bytes of events after which a snapshot is due.
    pub bytes: Option<u64>,
}
