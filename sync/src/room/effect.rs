//! What a room asks of its owner, and the values that go in and out with it.

use std::sync::Arc;

use bytes::Bytes;

use crate::event::Batch;
use crate::history::Reader;
use crate::id::{Author, ClientId, Digest, Number, Seq, SessionId, Timestamp};
use crate::message::{Goodbye, Rejection, Welcome};
use crate::report::{Report, UpgradeError};
use crate::sequencer::Rejected;
use crate::snapshot::Snapshot;

/// A microsecond count of a clock that never goes back, from any beginning. Rooms wait by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(pub u64);

impl Ticks {
    /// The moment that follows after this many microseconds.
    #[must_use]
    pub fn after(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

/// The outside world at one call: both clocks, and random bits.
pub struct Now<'a> {
    /// The clock that rooms wait by.
    pub ticks: Ticks,
    /// The wall clock, which becomes the time of events.
    pub time: Timestamp,
    /// Draws random bits that no participant can foresee.
    pub entropy: &'a mut dyn FnMut() -> u64,
}

impl Now<'_> {
    pub(super) fn draw(&mut self) -> u64 {
        (self.entropy)()
    }
}

/// A session's place in a room.
#[derive(Debug)]
pub struct Entered {
    /// The first message of the session.
    pub welcome: Welcome,
    /// What the session reads the [`History`](crate::History) with, from the place where it begins.
    pub reader: Reader,
}

/// A transition that comes without a session.
#[derive(Clone, Debug)]
pub struct SubmitOnce {
    /// Who asks.
    pub author: Author,
    /// The client they ask from.
    pub client: ClientId,
    /// That client's number for it.
    pub number: Number,
    /// The build whose encoding it is in.
    pub digest: Digest,
    /// In that build's own encoding.
    pub transition: Bytes,
}

/// One wait for the verdict on a [`SubmitOnce`]. The owner chooses these; each is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker(pub u64);

/// What became of a transition that came without a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the log.
    Accepted {
        /// Its event's seq.
        seq: Seq,
        /// Its event's time.
        time: Timestamp,
    },
    /// It was not applied.
    Rejected(Rejection),
    /// This client's number was decided earlier.
    DecidedBefore {
        /// The event that it became, where that is still known.
        seq: Option<Seq>,
    },
    /// The journal did not store it, or does not know whether it did; or the room broke before that.
    NotStored,
    /// The owner's queue for the room is full, or the participant waits because the machine faulted on its transitions.
    Busy,
    /// The room runs another build by now: encode it anew.
    Upgraded,
}

/// Why a room was not upgraded. It goes on with the build that it had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeFailed {
    /// The new build does not take over the room's state.
    #[error(transparent)]
    Refused(#[from] UpgradeError),
    /// The event of the upgrade was not stored.
    #[error("the journal did not store the upgrade; the room fell back to its former build: try again")]
    NotStored,
    /// Another upgrade of this room is running.
    #[error("another upgrade of this room is under way")]
    Busy,
}

/// What the journal notes of a room beside its log: why to wake the room while it sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// When the room's alarm is due, if it has one.
    pub alarm: Option<Timestamp>,
    /// Whether somebody may be present. In a room that sleeps nobody is, so its log is to say that they have left.
    pub is_occupied: bool,
}

/// One thing for the room's owner to do. The owner does them one at a time, in the order in which [`Room::poll_effect`](super::Room::poll_effect)
/// gives them out.
#[derive(Debug)]
pub enum Effect {
    /// Appends the batch to the log, and stores the note in the same transaction. The owner goes on meanwhile and calls
    /// [`Room::handle_appended`](super::Room::handle_appended), or one of its siblings, once the journal has answered.
    Append {
        /// The next batch of the log.
        batch: Arc<Batch>,
        /// What holds after the batch.
        note: Note,
    },
    /// Restores a snapshot in an instance of its own, away from the room, and says with
    /// [`Room::handle_tried`](super::Room::handle_tried) whether that succeeded. The room goes on meanwhile.
    TrySnapshot(Arc<Snapshot>),
    /// Stores a snapshot that was tried, and whose checkpoint is in the log, in the background. Nothing is lost if that fails.
    StoreSnapshot(Arc<Snapshot>),
    /// Stores a note without a batch, and waits until the journal has answered: [`Room::handle_noted`](super::Room::handle_noted) says how.
    Note(Note),
    /// Tells everyone who woke the room for what is noted of it that this is settled.
    Rung,
    /// Sends a frame to one session. If it cannot be queued, the owner drops the session and calls
    /// [`Room::handle_unreachable`](super::Room::handle_unreachable).
    Send {
        /// The session.
        session: SessionId,
        /// An encoded message.
        frame: Bytes,
    },
    /// Asks the owner to read no more from a session before this moment: its participant waits, after a fault. What comes nevertheless is kept.
    Slow {
        /// The session.
        session: SessionId,
        /// When to read on.
        until: Ticks,
    },
    /// Offers an ephemeral frame to all sessions but one. A session whose queue is full goes without it.
    Signal {
        /// The session that it comes from.
        from: SessionId,
        /// An encoded message.
        frame: Bytes,
    },
    /// Ends a session with a last message. The room has forgotten the session already.
    End {
        /// The session.
        session: SessionId,
        /// The last message.
        why: Goodbye,
    },
    /// Tells all sessions that the log is durable up to here: they read on.
    Head(Seq),
    /// Tells all sessions who is present.
    Presence {
        /// How many participants are present.
        participants: usize,
        /// The encoded `Presence` message.
        frame: Bytes,
    },
    /// Counts a rejection that was told.
    CountRejection(Rejected),
    /// Tells one asker what became of the transition.
    Answer {
        /// Who asked.
        asker: Asker,
        /// What became of it.
        verdict: Verdict,
    },
    /// Answers the [`Room::handle_upgrade`](super::Room::handle_upgrade) that is waiting.
    Upgraded(Result<Seq, UpgradeFailed>),
    /// Tells the operator.
    Report(Report),
    /// Drops the room, once its last snapshot is stored. There is no effect after this one.
    Sleep {
        /// What the room is to be woken for.
        note: Note,
    },
}
