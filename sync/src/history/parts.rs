//! Snapshots that are sent in parts. Each is encoded once, shared by all receivers, and kept for those whose connection broke.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::id::{ClientId, Digest, Seq};
use crate::limits::{
    CLIENTS_REMEMBERED_MAX, Limits, SNAPSHOT_BEGUN_TAIL_RATIO, SNAPSHOT_TAIL_BYTES_MIN, SNAPSHOT_TAIL_RATIO,
    SNAPSHOTS_BEGUN_MAX,
};
use crate::message::{ServerMessage, SnapshotInParts, Start};
use crate::snapshot::Snapshot;

/// A snapshot with the messages in which its bytes are sent.
#[derive(Debug)]
pub(super) struct Parts {
    snapshot: Arc<Snapshot>,
    hash: Digest,
    part_bytes: usize,
    /// The messages; each is encoded when the first reader comes to it.
    frames: Box<[OnceLock<Bytes>]>,
}

impl Parts {
    fn new(snapshot: Arc<Snapshot>, hash: Digest, part_bytes: usize) -> Self {
        let count = snapshot.state.len().div_ceil(part_bytes);
        Self { snapshot, hash, part_bytes, frames: (0..count).map(|_| OnceLock::new()).collect() }
    }

    pub(super) fn hash(&self) -> Digest {
        self.hash
    }

    pub(super) fn seq(&self) -> Seq {
        self.snapshot.seq
    }

    /// Returns the part with this index, as a message. Returns `None` after the last one.
    pub(super) fn frame(&self, index: usize) -> Option<Bytes> {
        let frame = self.frames.get(index)?;
        let encode = || {
            let at = index * self.part_bytes;
            let end = self.snapshot.state.len().min(at + self.part_bytes);
            ServerMessage::Part { at: at as u64, bytes: self.snapshot.state.slice(at..end) }.encode()
        };
        Some(frame.get_or_init(encode).clone())
    }

    pub(super) fn count(&self) -> usize {
        self.frames.len()
    }

    /// Returns the start for a replica that has the first `held` bytes, and the index of the first part that it lacks.
    pub(super) fn start(&self, held: u64) -> (Start, usize) {
        let Snapshot { seq, state_version, time, chain, state, .. } = &*self.snapshot;
        let held = usize::try_from(held).unwrap_or(usize::MAX);
        let (next, from) = match held / self.part_bytes {
            _ if held >= state.len() => (self.count(), state.len()),
            whole => (whole, whole * self.part_bytes),
        };
        let start = SnapshotInParts {
            seq: *seq,
            state_version: *state_version,
            time: *time,
            chain: *chain,
            hash: self.hash,
            bytes: state.len() as u64,
            from: from as u64,
        };
        (Start::Parts(Box::new(start)), next)
    }
}

/// The snapshots that replicas have begun to receive and do not have yet, ordered by their seqs. Those replicas may have lost their connections
/// for now.
#[derive(Debug)]
pub(super) struct Begun {
    snapshots: VecDeque<BegunSnapshot>,
    part_bytes: usize,
    tail_bytes_min: usize,
}

#[derive(Debug)]
struct BegunSnapshot {
    parts: Arc<Parts>,
    /// Bytes of the events after the snapshot.
    tail_bytes: usize,
    /// The clients that have not yet reported the arrival of all parts.
    receivers: BTreeSet<ClientId>,
}

impl BegunSnapshot {
    /// Returns whether the events after the snapshot are within `ratio` times its size, or within `bytes_min`.
    fn is_within(&self, ratio: usize, bytes_min: usize) -> bool {
        self.tail_bytes <= (self.parts.snapshot.state.len() * ratio).max(bytes_min)
    }
}

impl Begun {
    pub(super) fn new(limits: &Limits) -> Self {
        let (part_bytes, tail_bytes_min) = (limits.snapshot_part_bytes.max(1), limits.readers_tail_bytes_min);
        Self { snapshots: VecDeque::new(), part_bytes, tail_bytes_min }
    }

    /// Returns whether a snapshot is so large that it must be sent in parts.
    pub(super) fn is_due(&self, snapshot: &Snapshot) -> bool {
        snapshot.state.len() > self.part_bytes
    }

    /// Returns the snapshot with this hash, if it is still kept, for a replica that goes on receiving it.
    pub(super) fn resume(&mut self, hash: Digest, client: ClientId) -> Option<Arc<Parts>> {
        let index = self.snapshots.iter().rposition(|begun| begun.parts.hash == hash)?;
        Some(self.receive(index, client))
    }

    /// Returns the snapshot for a replica that begins to receive one. If others are receiving one that is as good as a new one, it is that;
    /// otherwise it is the room's newest, which is `base`.
    pub(super) fn begin(
        &mut self,
        base: &Arc<Snapshot>,
        hash: Digest,
        tail_bytes: usize,
        client: ClientId,
    ) -> Arc<Parts> {
        let is_good = |begun: &BegunSnapshot| {
            begun.parts.seq() == base.seq || begun.is_within(SNAPSHOT_TAIL_RATIO, SNAPSHOT_TAIL_BYTES_MIN)
        };
        if !self.snapshots.back().is_some_and(is_good) {
            if self.snapshots.len() >= SNAPSHOTS_BEGUN_MAX {
                self.snapshots.pop_front();
            }
            let parts = Arc::new(Parts::new(Arc::clone(base), hash, self.part_bytes));
            self.snapshots.push_back(BegunSnapshot { parts, tail_bytes, receivers: BTreeSet::new() });
        }
        self.receive(self.snapshots.len() - 1, client)
    }

    /// Notes that a client receives the snapshot at `index` from here on, and no other.
    fn receive(&mut self, index: usize, client: ClientId) -> Arc<Parts> {
        let begun = &mut self.snapshots[index];
        // The bound holds even for someone who uses ever new clients.
        if begun.receivers.len() < CLIENTS_REMEMBERED_MAX {
            begun.receivers.insert(client);
        }
        let parts = Arc::clone(&begun.parts);
        self.snapshots.retain_mut(|begun| {
            let is_received = Arc::ptr_eq(&begun.parts, &parts);
            if !is_received {
                begun.receivers.remove(&client);
            }
            is_received || !begun.receivers.is_empty()
        });
        parts
    }

    /// Handles that a replica has the snapshot with this hash.
    pub(super) fn handle_arrived(&mut self, client: ClientId, hash: Digest) {
        if self.snapshots.iter().any(|begun| begun.parts.hash == hash && begun.receivers.contains(&client)) {
            self.forget(client);
        }
    }

    /// Forgets a client that has received its snapshot, or receives something else now.
    pub(super) fn forget(&mut self, client: ClientId) {
        self.snapshots.retain_mut(|begun| {
            begun.receivers.remove(&client);
            !begun.receivers.is_empty()
        });
    }

    /// Handles that the log has grown: drops snapshots that are too far behind, except for the newest, which is at `base`.
    pub(super) fn grow(&mut self, bytes: usize, base: Seq) {
        let bytes_min = self.tail_bytes_min;
        self.snapshots.retain_mut(|begun| {
            begun.tail_bytes += bytes;
            begun.parts.seq() == base || begun.is_within(SNAPSHOT_BEGUN_TAIL_RATIO, bytes_min)
        });
    }

    /// Handles that there is a newer snapshot: drops those of other builds, and those that are too far behind.
    pub(super) fn handle_rebase(&mut self, base: &Snapshot) {
        self.snapshots.retain(|begun| begun.parts.snapshot.digest == base.digest);
        self.grow(0, base.seq);
    }

    /// Returns the event after which the log must be kept for the receivers of these snapshots.
    pub(super) fn first(&self) -> Option<Seq> {
        self.snapshots.front().map(|begun| begun.parts.seq())
    }

    /// Returns the bytes of memory that these take besides the newest snapshot itself, which is at `base`.
    pub(super) fn bytes(&self, base: Seq) -> usize {
        let of = |begun: &BegunSnapshot| {
            let copies = 1 + usize::from(begun.parts.seq() != base);
            begun.parts.snapshot.state.len() * copies
        };
        self.snapshots.iter().map(of).sum()
    }
}
