//! A stranger, who speaks the protocol by hand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use reapply_sync::{ClientId, Number, Seq, SnapshotInParts};

/// The index that stands for the client of a stranger's connection.
pub(super) const STRANGER: usize = usize::MAX;

/// The replies that a stranger may get on a connection.
pub(crate) struct Stranger {
    pub(super) client: ClientId,
    pub(super) pings: VecDeque<u64>,
    pub(super) submitted: BTreeSet<Number>,
    /// Whether they have sent something that ends the session.
    pub(super) is_bad: bool,
    pub(super) has_begun: bool,
    pub(super) greetings: usize,
    /// The last event that they have read, and the build after it.
    pub(super) read: Option<(Seq, u8)>,
    /// The snapshot that comes in parts, the build that wrote it, and its bytes so far.
    pub(super) arriving: Option<(SnapshotInParts, u8, Vec<u8>)>,
}

/// The strangers by their connections.
pub(crate) type Strangers = BTreeMap<usize, Stranger>;
