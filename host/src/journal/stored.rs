//! What a journal is given to keep besides records, and what it tells of it.

use bytes::Bytes;
use reapply_sync::room::Note;
use reapply_sync::{Author, Chain, Digest, Genesis, LogId, Name, RoomId, Seq, Timestamp};
use serde::{Deserialize, Serialize};

use super::BatchId;

/// A room that is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoom {
    /// Its address.
    pub room: RoomId,
    /// How its log began. One that shares its past with another room has the genesis of that one.
    pub genesis: Genesis,
    /// Which log it writes.
    pub log: LogId,
    /// Where its log begins, if that is not the first event.
    pub base: Option<Base>,
    /// What to wake it for.
    pub note: Note,
    /// Whether it is to be published later.
    pub staged: bool,
}

impl NewRoom {
    /// The room that `genesis` names, with a log of its own.
    #[must_use]
    pub fn of(genesis: Genesis) -> Self {
        let (room, log, note) = (genesis.room.clone(), genesis.log_id(), Note::default());
        Self { room, log, genesis, base: None, note, staged: false }
    }

    /// The event after which its log begins, and the chain there.
    #[must_use]
    pub fn start(&self) -> (Seq, Chain) {
        start_of(&self.genesis, self.base.as_ref())
    }
}

/// Where a log begins whose earlier events are not kept. A snapshot stands there.
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

/// The event after which a log begins, and the chain there.
fn start_of(genesis: &Genesis, base: Option<&Base>) -> (Seq, Chain) {
    base.map_or_else(|| (Seq(0), genesis.chain()), |base| (base.seq, base.chain))
}

/// A room, as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRecord {
    /// Its address.
    pub room: RoomId,
    /// How its log began: the first build, the options, the time of creation. Its room is another one where that log was forked.
    pub genesis: Genesis,
    /// Which log it writes.
    pub log: LogId,
    /// The build that it runs.
    pub digest: Digest,
    /// Where its log begins, if that is not the first event.
    pub base: Option<Base>,
    /// The last event of its log.
    pub head: Seq,
    /// That event's time; the time of creation where there is none.
    pub time: Timestamp,
    /// The log's chain at its head.
    pub chain: Chain,
    /// The last batch, where there is one: it tells the writer of an `Appended::Unknown` batch whether that landed.
    pub batch: Option<BatchId>,
    /// What to wake it for.
    pub note: Note,
}

impl RoomRecord {
    /// The event after which its log begins, and the chain there.
    #[must_use]
    pub fn start(&self) -> (Seq, Chain) {
        start_of(&self.genesis, self.base.as_ref())
    }
}

/// A stored snapshot, without its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// The last event it includes.
    pub seq: Seq,
    /// The build that wrote it.
    pub digest: Digest,
    /// The size of its state.
    pub bytes: u64,
    /// The hash of its state, as a checkpoint carries it.
    pub hash: Digest,
}

/// How often an author's transitions were rejected in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectionCount {
    /// Whose.
    pub author: Author,
    /// In which way: the rejection's kind.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// When last.
    pub last: Timestamp,
}

/// One build of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// BLAKE3 of `bytes`.
    pub digest: Digest,
    /// The component.
    pub bytes: Bytes,
    /// What it says of itself, as JSON.
    pub description: String,
}

/// A machine, and the build that its new rooms run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineRecord {
    /// The machine's name.
    pub name: Name,
    /// Its current build.
    pub digest: Digest,
    /// When that was deployed.
    pub deployed: Timestamp,
    /// How much of its rooms' past it keeps.
    pub retention: Retention,
}

/// When a machine's rooms take snapshots, and how much of their past they keep. The default leaves the first to the host, and
/// keeps everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// A snapshot is taken after so many events.
    pub snapshot_events: Option<u64>,
    /// A snapshot is taken after so many bytes of events.
    pub snapshot_bytes: Option<u64>,
    /// Whether the log before the last verified snapshot is removed.
    pub trim: bool,
}
