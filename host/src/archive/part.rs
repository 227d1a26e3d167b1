//! The contents of an export's sections, each encoded with postcard: a [`Header`], a `StoredComponent`, a snapshot, the bodies of records
//! (`Vec<Bytes>`), an `End`; or a text, if the writer could not continue.

use bytes::Bytes;
use reapply_sync::{Chain, Digest, Genesis, LogId, RoomId, Seq, Timestamp};
use serde::{Deserialize, Serialize};

use reapply_journal::{Base, RoomRecord};

/// The identity of the log in an export, and its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The program that wrote it, and its version.
    pub writer: String,
    /// The time when it was written.
    pub created: Timestamp,
    /// The room that was exported.
    pub room: RoomId,
    /// The beginning of its log.
    pub genesis: Genesis,
    /// The id of the log.
    pub log: LogId,
    /// The build that the room runs at the head.
    pub digest: Digest,
    /// The beginning of the log, if that is not the first event.
    pub base: Option<Base>,
    /// The last event.
    pub head: Seq,
    /// That event's time, or the time of creation if there are no events.
    pub time: Timestamp,
    /// The log's chain after it.
    pub chain: Chain,
}

impl Header {
    /// Creates the header of the current log of `room`, exported at `created`.
    #[must_use]
    pub fn new(room: RoomRecord, created: Timestamp) -> Self {
        let RoomRecord { room, genesis, log, digest, base, head, time, chain, .. } = room;
        let writer = concat!("reapply ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { writer, created, room, genesis, log, digest, base, head, time, chain }
    }

    /// Returns the last event before those in the export, and the chain after it.
    #[must_use]
    pub fn start(&self) -> (Seq, Chain) {
        self.base.as_ref().map_or_else(|| (Seq(0), self.genesis.chain()), |base| (base.seq, base.chain))
    }
}

/// A component with its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredComponent {
    pub(super) digest: Digest,
    pub(super) bytes: Bytes,
}

/// The counts of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The number of components.
    pub components: u64,
    /// The number of snapshots.
    pub snapshots: u64,
    /// The number of records.
    pub records: u64,
    /// The number of their events.
    pub events: u64,
}

/// The content of the last section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) counts: Counts,
    /// BLAKE3 of the hashes of all sections before.
    pub(super) sections: Digest,
}
