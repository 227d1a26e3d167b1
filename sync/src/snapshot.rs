//! A snapshot: a state as bytes with all that a room needs to go on from there.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::event::Chain;
use crate::id::{Author, ClientId, Digest, Number, Seq, Timestamp};

/// A room at one seq. With the events after it, it brings back the room exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last event it includes.
    pub seq: Seq,
    /// The build that wrote it.
    pub digest: Digest,
    /// The version of `state`'s encoding.
    pub state_version: u32,
    /// The last event's time.
    pub time: Timestamp,
    /// The log's chain at `seq`.
    pub chain: Chain,
    /// Each remembered client's last accepted number and the seq of that event.
    pub clients: Vec<(ClientId, Number, Seq)>,
    /// Participants who had joined and not left, where the machine asks for membership.
    pub present: Vec<Author>,
    /// The machine's own bytes.
    pub state: Bytes,
}

impl Snapshot {
    /// The hash that a checkpoint carries: of the machine's bytes alone, since that is what replicas can compare.
    #[must_use]
    pub fn state_hash(&self) -> Digest {
        Digest::of(&self.state)
    }
}
