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
    /// The clients that the room remembers.
    pub clients: Vec<KnownClient>,
    /// What the room has forgotten of other clients; none where it knows all that ever had an event.
    pub forgotten: Option<Forgotten>,
    /// Participants who had joined and not left, where the machine asks for membership.
    pub present: Vec<Author>,
    /// The machine's own bytes.
    pub state: Bytes,
}

/// The traces of all clients that a room has forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// The last event that one of them had asked for.
    pub seq: Seq,
    /// The highest of their numbers, within [`FORGOTTEN_NUMBERS_STEP_MAX`](crate::limits::FORGOTTEN_NUMBERS_STEP_MAX).
    pub number: Number,
}

/// What a room remembers of a client, so that nothing of it is applied twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownClient {
    /// The client.
    pub client: ClientId,
    /// The first of its numbers whose decision the room knows of: 1, unless the room had forgotten clients before it came to know this one.
    pub known_from: Number,
    /// The last of its numbers that was accepted.
    pub number: Number,
    /// The event that this number became.
    pub seq: Seq,
    /// That event's time.
    pub time: Timestamp,
}

impl Snapshot {
    /// The hash that a checkpoint carries: of the machine's bytes alone, since that is what replicas can compare.
    #[must_use]
    pub fn state_hash(&self) -> Digest {
        Digest::of(&self.state)
    }
}
