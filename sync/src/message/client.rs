//! The messages of a participant's replica.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::version::{Capabilities, VERSION};
use crate::event::Chain;
use crate::id::{ClientKey, Digest, LogId, Number, Seq};

/// A message from a participant's replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// The first message of a session. Sent again, it asks for a new `Welcome` with a snapshot.
    Hello(Hello),
    /// Asks for a transition.
    Submit {
        /// The client's number for the transition: larger than all that it submitted before.
        number: Number,
        /// The transition, in the machine's own encoding.
        transition: Bytes,
    },
    /// Sends an ephemeral message to everyone in the room.
    Signal(Bytes),
    /// Asks for a `Pong` with the same value.
    Ping(u64),
    /// Reports that the replica's state differs from the checkpoint at this seq. The replica heals itself with a `Hello` that follows.
    Diverged {
        /// The checkpoint's seq.
        seq: Seq,
        /// The hash of the replica's own snapshot there; `None` if an event could not even be applied.
        ours: Option<Digest>,
    },
    /// Reports that the replica has followed the upgrade at this seq: its later submissions are in that build's encoding. Earlier ones that the
    /// room did not take follow again.
    Upgraded(Seq),
    /// Reports that the replica has all parts of the snapshot with this hash.
    Arrived(Digest),
}

/// The greeting that begins a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the messages that the client speaks.
    pub version: u16,
    /// The client's abilities beyond the version.
    pub capabilities: Capabilities,
    /// The client's secret.
    pub key: ClientKey,
    /// The state that the replica holds already, if it was here before.
    pub resume: Option<Resume>,
    /// The snapshot of which the replica has a part, because a connection broke while it came. Since version 2.
    pub held: Option<HeldSnapshot>,
}

impl Hello {
    /// Returns the greeting of this version.
    #[must_use]
    pub fn new(key: ClientKey, resume: Option<Resume>) -> Self {
        Self { version: VERSION, capabilities: Capabilities::OURS, key, resume, held: None }
    }
}

/// The beginning of a snapshot that a replica holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSnapshot {
    /// BLAKE3 of the whole snapshot, as the room named it.
    pub hash: Digest,
    /// The number of its bytes that the replica has, from the first on.
    pub bytes: u64,
}

/// The state that a returning replica holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The log that the state comes from.
    pub log: LogId,
    /// The build that the replica runs.
    pub digest: Digest,
    /// The last event in the confirmed state.
    pub seq: Seq,
    /// The log's chain there, as the replica has followed it. A log that was restored from a backup has the same id, but may continue
    /// differently.
    pub chain: Chain,
}
