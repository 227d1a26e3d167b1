//! What a driver asks of its owner.

use bytes::Bytes;
use reapply_sync::{Digest, Divergence, Signal};

use crate::queue::{Change, WriteId};
use crate::transitions::{Decision, Returned, Ticket};

/// One connection to the room. Each is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// One thing for the driver's owner to do. The owner does them one at a time, in the order in which
/// [`Driver::poll_effect`](super::Driver::poll_effect) gives them out.
#[derive(Debug)]
pub enum Effect {
    /// Opens a connection, and tells what becomes of it: [`Driver::handle_opened`](super::Driver::handle_opened),
    /// [`Driver::handle_lost`](super::Driver::handle_lost).
    Connect(ConnectionId),
    /// Closes a connection. The driver has forgotten it already.
    Disconnect(ConnectionId),
    /// Sends a frame. On a connection that is gone it is dropped: what matters is sent again on the next one.
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
    /// Tells whoever asked for a transition what became of it.
    Decided {
        /// The call.
        ticket: Ticket,
        /// The transition's fate.
        decision: Decision,
    },
    /// Tells what became of a transition that an earlier page had asked for.
    Returned {
        /// The entry.
        ticket: Ticket,
        /// The transition.
        returned: Returned,
        /// The transition's fate.
        decision: Decision,
    },
    /// Tells an ephemeral message of the others.
    Signal(Signal),
    /// Tells that the room was joined: its present is here, for the first time.
    Joined,
    /// Looks for a client that has left something in this room and that no page is now, and answers with
    /// [`Driver::handle_orphan`](super::Driver::handle_orphan).
    FindOrphan,
    /// Tells that the state here was not the room's. The replica heals by itself.
    Diverged(Divergence),
    /// Tells that something does not work, and is tried again.
    Report(String),
    /// Ends everything. There is no effect after this one.
    Closed {
        /// The reason.
        why: String,
    },
}
