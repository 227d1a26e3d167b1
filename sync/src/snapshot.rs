//! A snapshot: a state as bytes with everything that a room needs to continue from there.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::event::Chain;
use crate::id::{Author, ClientId, Digest, Number, Seq, Timestamp};

/// A room at one seq. With the events after it, it restores the room exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last event that it includes.
    pub seq: Seq,
    /// The build that wrote `state`.
    pub digest: Digest,
    /// The version of `state`'s encoding.
    pub state_version: u32,
    /// The last event's time.
    pub time: Timestamp,
    /// The log's chain at `seq`.
    pub chain: Chain,
    /// The clients that the room remembers.
    pub clients: Vec<KnownClient>,
    /// The traces of clients that the room has forgotten; `None` if it knows all that ever had an event.
    pub forgotten: Option<Forgotten>,
    /// Participants who have joined and not left, if the machine has membership events.
    pub present: Vec<Author>,
    /// The machine's own bytes.
    pub state: Bytes,
}

/// The traces of all clients that a room has forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// The last event that one of them caused.
    pub seq: Seq,
    /// The highest of their numbers, within [`FORGOTTEN_NUMBERS_STEP_MAX`](crate::limits::FORGOTTEN_NUMBERS_STEP_MAX).
    pub number: Number,
}

/// A room's record of a client, so that no transition is applied twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownClient {
    /// The client.
    pub client: ClientId,
    /// The first of its numbers whose decision the room knows: 1, unless the room had forgotten clients before it first met this one.
    pub known_from: Number,
    /// The last accepted number.
    pub number: Number,
    /// The event for this number.
    pub seq: Seq,
    /// That event's time.
    pub time: Timestamp,
}

impl Snapshot {
    /// Returns the hash for a checkpoint: of the machine's bytes alone, since replicas can only compare these.
    #[must_use]
    pub fn state_hash(&self) -> Digest {
        Digest::of(&self.state)
    }
}
