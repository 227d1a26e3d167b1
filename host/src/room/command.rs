//! The commands that a room's task is sent, and the messages that it sends to one session alone.

use std::time::Instant;

use bytes::Bytes;
use reapply_sync::room::{Entered, SubmitOnce, Verdict};
use reapply_sync::{Author, Digest, Fault, Goodbye, Hello, Number, Seq, SessionId};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::error::UpgradeRoomError;
use super::view::View;
use reapply_journal::Retention;
use reapply_machine::Instance;

/// The room is not awake any more. Nothing of what was asked has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the room is not awake any more")]
pub struct Gone;

/// Where a session finds the messages that are for it alone.
pub type Outbox = mpsc::Sender<DirectMessage>;

/// A message for one session.
#[derive(Clone, Debug)]
pub enum DirectMessage {
    /// A frame to send.
    Frame(Bytes),
    /// Nothing is to be read from the session before this moment.
    Slow(Instant),
    /// The last message; the session ends after it.
    Goodbye(Goodbye),
}

/// What the room is asked to do.
pub(super) enum Command {
    Enter {
        hello: Hello,
        participant: Author,
        outbox: Outbox,
        reply: oneshot::Sender<Result<Entered, Goodbye>>,
    },
    Resync {
        session: SessionId,
        hello: Hello,
        reply: oneshot::Sender<Entered>,
    },
    Submit {
        session: SessionId,
        number: Number,
        transition: Bytes,
        space: Space,
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
        /// How many submissions and the like it had handed in. It leaves once these are handled.
        handed: u64,
    },
    SubmitOnce {
        submit: SubmitOnce,
        space: Space,
        reply: oneshot::Sender<Verdict>,
    },
    Upgrade(Upgrade),
    View {
        reply: oneshot::Sender<Result<View, Fault>>,
    },
    /// The alarm is due; answered when the room is settled.
    Ring {
        reply: oneshot::Sender<()>,
    },
    /// Answered when the journal knows of all rejections until now.
    TellTally {
        reply: oneshot::Sender<()>,
    },
    Retain(Retention),
    Stop,
}

impl Command {
    /// Whether it stays in order with transitions.
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
            | Self::Stop => false,
        }
    }
}

/// The bytes that a command takes in the queue, until the room has handled it.
#[derive(Debug)]
pub(super) struct Space(
    #[expect(dead_code, reason = "dropping it gives the space back")] pub(super) OwnedSemaphorePermit,
);

/// A build that is to take over.
pub(super) struct Upgrade {
    pub(super) instance: Instance,
    pub(super) digest: Digest,
    pub(super) reply: oneshot::Sender<Result<Seq, UpgradeRoomError>>,
}
