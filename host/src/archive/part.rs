//! What an export's sections hold, each encoded with postcard: a [`Header`], a `StoredComponent`, a snapshot, the bodies of records
//! (`Vec<Bytes>`), an `End`; or a text, where the writer could not go on.

use bytes::Bytes;
use reapply_sync::{Chain, Digest, Genesis, LogId, RoomId, Seq, Timestamp};
use serde::{Deserialize, Serialize};

use crate::journal::{Base, RoomRecord};

/// Which log an export holds, and where it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The program that wrote it, and its version.
    pub writer: String,
    /// When it was written.
    pub created: Timestamp,
    /// The room that was exported.
    pub room: RoomId,
    /// How its log began.
    pub genesis: Genesis,
    /// Which log it is.
    pub log: LogId,
    /// The build that the room runs at the head.
    pub digest: Digest,
    /// Where the log begins, if that is not the first event.
    pub base: Option<Base>,
    /// The last event.
    pub head: Seq,
    /// That event's time; the time of creation where there is none.
    pub time: Timestamp,
    /// The log's chain after it.
    pub chain: Chain,
}

impl Header {
    /// The header of the log of `room` as it stands, exported at `created`.
    #[must_use]
    pub fn new(room: RoomRecord, created: Timestamp) -> Self {
        let RoomRecord { room, genesis, log, digest, base, head, time, chain, .. } = room;
        let writer = concat!("reapply ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { writer, created, room, genesis, log, digest, base, head, time, chain }
    }

    /// The last event before those that the export holds, and the chain after it.
    #[must_use]
    pub fn start(&self) -> (Seq, Chain) {
        self.base.as_ref().map_or_else(|| (Seq(0), self.genesis.chain()), |base| (base.seq, base.chain))
    }
}

/// A component with the digest that it is kept under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredComponent {
    pub(super) digest: Digest,
    pub(super) bytes: Bytes,
}

/// How much an export holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Components.
    pub components: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Records.
    pub records: u64,
    /// Their events.
    pub events: u64,
}

/// What the last section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) counts: Counts,
    /// BLAKE3 of the hashes of all sections before.
    pub(super) sections: Digest,
}
