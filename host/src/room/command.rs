//! The commands that a room's task is sent, and the messages that it sends to one session alone.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use reapply_journal::Retention;
use reapply_machine::Instance;
use reapply_sync::room::{Entered, SubmitOnce, Verdict};
use reapply_sync::{Author, Digest, Fault, Goodbye, Hello, Number, Rejection, Seq, SessionId};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::budget::Charge;
use super::error::UpgradeRoomError;
use super::view::View;

/// The room is no longer awake. The command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the room is not awake any more")]
pub struct Gone;

/// The queue of messages for one session alone. A session that leaves it full misses signals, and is ended when anything else does not fit.
pub type Outbox = mpsc::Sender<DirectMessage>;

/// A message for one session.
#[derive(Clone, Debug)]
pub enum DirectMessage {
    /// A frame to send.
    Frame(Bytes),
    /// The session's next frame is read at this moment, not earlier.
    Slow(Instant),
    /// The last message; the session ends after it.
    Goodbye(Goodbye),
}

/// A request to a room's task. Transitions are many, so whatever is larger than one of them is boxed.
pub(super) enum Command {
    Enter {
        hello: Box<Hello>,
        participant: Author,
        outbox: Outbox,
        reply: oneshot::Sender<Result<Entered, Goodbye>>,
    },
    Resync {
        session: SessionId,
        hello: Box<Hello>,
        /// `None` is for a session of another client.
        reply: oneshot::Sender<Option<Entered>>,
    },
    Submit {
        session: SessionId,
        number: Number,
        transition: Bytes,
        /// The space of all transitions that were sent together.
        space: Arc<Space>,
    },
    Signal {
        session: SessionId,
        body: Bytes,
    },
    Diverged {
        session: SessionId,
        seq: Seq,
        ours: Option<Digest>,
    },
    Followed {
        session: SessionId,
        upgrade: Seq,
    },
    Leave {
        session: SessionId,
        /// The number of ordered commands (submissions and the like) that the session has sent. It leaves once they are handled.
        handed: u64,
    },
    SubmitOnce {
        submit: SubmitOnce,
        /// The reason why the machine cannot encode the transition, if it cannot.
        unreadable: Option<Box<Rejection>>,
        space: Space,
        reply: oneshot::Sender<Verdict>,
    },
    Upgrade(Box<Upgrade>),
    View {
        reply: oneshot::Sender<Result<View, Fault>>,
    },
    /// Makes the alarm go off if it is due. The reply comes when the outcome is stored.
    Ring {
        reply: oneshot::Sender<()>,
    },
    /// Passes the counts of rejections to the journal. The reply comes when they are stored.
    TellTally {
        reply: oneshot::Sender<()>,
    },
    Retain(Retention),
    /// The host needs memory: a room that nobody uses falls asleep.
    MakeSpace,
    Stop,
}

impl Command {
    /// Returns whether the command stays in order with transitions.
    pub(super) fn is_submit(&self) -> bool {
        match self {
            Self::Submit { .. } | Self::SubmitOnce { .. } | Self::Followed { .. } | Self::Resync { .. } => true,
            Self::Enter { .. }
            | Self::Signal { .. }
            | Self::Diverged { .. }
            | Self::Leave { .. }
            | Self::Upgrade(_)
            | Self::View { .. }
            | Self::Ring { .. }
            | Self::TellTally { .. }
            | Self::Retain(_)
            | Self::MakeSpace
            | Self::Stop => false,
        }
    }
}

/// A message in the queue of commands that are handled in order.
pub(super) enum Ordered {
    Command(Command),
    /// Transitions of one session, in the order of their numbers. The task makes a [`Command::Submit`] of each.
    Transitions {
        session: SessionId,
        transitions: Vec<(Number, Bytes)>,
        space: Space,
    },
}

/// The space that a command takes in the queue until the room has handled it.
#[derive(Debug)]
#[expect(dead_code, reason = "dropping it gives the space back")]
pub(super) struct Space(pub(super) OwnedSemaphorePermit, pub(super) Charge);

/// A build that the room is to switch to.
pub(super) struct Upgrade {
    pub(super) instance: Instance,
    pub(super) digest: Digest,
    pub(super) reply: oneshot::Sender<Result<Seq, UpgradeRoomError>>,
}
