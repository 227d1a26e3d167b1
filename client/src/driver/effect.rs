//! The effects that a driver asks its owner to perform.

use bytes::Bytes;
use reapply_sync::{Digest, Divergence, Signal};

use crate::queue::{Change, WriteId};
use crate::transitions::{Decision, Returned, Ticket};

/// The id of one connection to the room. Each id is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// One thing for the driver's owner to do. The owner performs effects one at a time, in the order in which
/// [`Driver::poll_effect`](super::Driver::poll_effect) returns them.
#[derive(Debug)]
pub enum Effect {
    /// Opens a connection. The owner answers with [`Driver::handle_opened`](super::Driver::handle_opened) or
    /// [`Driver::handle_lost`](super::Driver::handle_lost).
    Connect(ConnectionId),
    /// Closes a connection. The driver has forgotten it already.
    Disconnect(ConnectionId),
    /// Sends a frame. If the connection is gone, the frame is dropped: all that matters is sent again on the next one.
    Send {
        /// The connection.
        connection: ConnectionId,
        /// An encoded message.
        frame: Bytes,
    },
    /// Loads the build with this digest, and answers with [`Driver::handle_machine`](super::Driver::handle_machine) or
    /// [`Driver::handle_machine_failed`](super::Driver::handle_machine_failed).
    Load(Digest),
    /// Writes to the client's store, in the background, and answers with [`Driver::handle_written`](super::Driver::handle_written).
    /// Writes reach the store in their order.
    Write {
        /// The write.
        write: WriteId,
        /// All of its changes, in order.
        changes: Vec<Change>,
    },
    /// Opens the store, and answers with [`Driver::handle_store_opened`](super::Driver::handle_store_opened) or
    /// [`Driver::handle_store_closed`](super::Driver::handle_store_closed).
    OpenStore,
    /// Tells the caller of [`Driver::apply`](super::Driver::apply) the outcome of its transition.
    Decided {
        /// The call.
        ticket: Ticket,
        /// The transition's fate.
        decision: Decision,
    },
    /// Tells the outcome of a transition that an earlier page had asked for.
    Returned {
        /// The entry.
        ticket: Ticket,
        /// The transition.
        returned: Returned,
        /// The transition's fate.
        decision: Decision,
    },
    /// Passes on an ephemeral message of another participant.
    Signal(Signal),
    /// Tells the page that the room was joined: its present state is here for the first time.
    Joined,
    /// Looks for a client that has left transitions in this room and is not in use by any page. The owner answers with
    /// [`Driver::handle_orphan`](super::Driver::handle_orphan).
    FindOrphan,
    /// Reports that the state here was not the room's. The replica heals by itself.
    Diverged(Divergence),
    /// Reports a failure. The driver tries again.
    Report(String),
    /// Ends everything. No effect follows this one.
    Closed {
        /// The reason.
        why: String,
    },
}
