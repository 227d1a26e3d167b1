//! The other data in a journal besides records, as it is stored and returned.

use bytes::Bytes;
use reapply_sync::room::Note;
use reapply_sync::{Author, Chain, Digest, Genesis, LogId, Name, RoomId, Seq, Timestamp};
use serde::{Deserialize, Serialize};

use super::BatchId;

/// A room to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoom {
    /// The address of the room.
    pub room: RoomId,
    /// The genesis of its log. A room that shares its past with another room has the genesis of that one.
    pub genesis: Genesis,
    /// The id of the log that it writes.
    pub log: LogId,
    /// The beginning of its log, if that is not the first event.
    pub base: Option<Base>,
    /// The causes for which the room is woken.
    pub note: Note,
    /// Whether it is to be published later.
    pub staged: bool,
}

impl NewRoom {
    /// Creates the room that `genesis` names, with a log of its own.
    #[must_use]
    pub fn of(genesis: Genesis) -> Self {
        let (room, log, note) = (genesis.room.clone(), genesis.log_id(), Note::default());
        Self { room, log, genesis, base: None, note, staged: false }
    }

    /// Returns the event after which its log begins, and the chain there.
    #[must_use]
    pub fn start(&self) -> (Seq, Chain) {
        start_of(&self.genesis, self.base.as_ref())
    }
}

/// The beginning of a log whose earlier events are not kept. There is a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The last event that is not kept.
    pub seq: Seq,
    /// That event's time.
    pub time: Timestamp,
    /// The build that the room ran after it.
    pub digest: Digest,
    /// The log's chain there.
    pub chain: Chain,
}

/// Returns the event after which a log begins, and the chain there.
fn start_of(genesis: &Genesis, base: Option<&Base>) -> (Seq, Chain) {
    base.map_or_else(|| (Seq(0), genesis.chain()), |base| (base.seq, base.chain))
}

/// A room, as the journal stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRecord {
    /// The address of the room.
    pub room: RoomId,
    /// The genesis of its log: the first build, the options, the time of creation. If that log was forked, the genesis names another room.
    pub genesis: Genesis,
    /// The id of the log that it writes.
    pub log: LogId,
    /// The build that it runs.
    pub digest: Digest,
    /// The beginning of its log, if that is not the first event.
    pub base: Option<Base>,
    /// The last event of its log.
    pub head: Seq,
    /// That event's time, or the time of creation if there are no events.
    pub time: Timestamp,
    /// The log's chain at its head.
    pub chain: Chain,
    /// The id of the last batch, if there is one. It tells the writer of an `Appended::Unknown` batch whether the batch was stored.
    pub batch: Option<BatchId>,
    /// The causes for which the room is woken.
    pub note: Note,
}

impl RoomRecord {
    /// Returns the event after which its log begins, and the chain there.
    #[must_use]
    pub fn start(&self) -> (Seq, Chain) {
        start_of(&self.genesis, self.base.as_ref())
    }
}

/// A stored snapshot, without its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// The last event that it includes.
    pub seq: Seq,
    /// The build that wrote it.
    pub digest: Digest,
    /// The size of its state.
    pub bytes: u64,
    /// The hash of its state, as in a checkpoint.
    pub hash: Digest,
}

/// The sizes of what a room is opened from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpeningBytes {
    /// The bytes of the newest snapshot's state; 0 if there is no snapshot.
    pub snapshot: u64,
    /// The bytes of the records with events after that snapshot.
    pub tail: u64,
}

/// The count of an author's rejections of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectionCount {
    /// The author.
    pub author: Author,
    /// The kind of rejection.
    pub kind: String,
    /// The count.
    pub count: u64,
    /// The time of the last one.
    pub last: Timestamp,
}

/// One build of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// BLAKE3 of `bytes`.
    pub digest: Digest,
    /// The component.
    pub bytes: Bytes,
    /// The component's description of itself, as JSON.
    pub description: String,
}

/// A machine, and the build for its new rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineRecord {
    /// The machine's name.
    pub name: Name,
    /// Its current build.
    pub digest: Digest,
    /// The time when that was deployed.
    pub deployed: Timestamp,
    /// The retention of its rooms' past.
    pub retention: Retention,
}

/// The retention of a machine: when its rooms take snapshots, and how much of their past they keep. By default the host chooses the
/// times, and everything is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Take a snapshot after this many events.
    pub snapshot_events: Option<u64>,
    /// Take a snapshot after this many bytes of events.
    pub snapshot_bytes: Option<u64>,
    /// Whether the log before the last verified snapshot is removed.
    pub trim: bool,
}
