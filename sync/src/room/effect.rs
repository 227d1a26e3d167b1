//! A room's requests to its owner, and the values that go in and out with them.

use std::sync::Arc;

use bytes::Bytes;

use crate::event::Batch;
use crate::history::reader::Reader;
use crate::id::{Author, ClientId, Digest, Number, Seq, SessionId, Timestamp};
use crate::message::{Goodbye, Rejection, Welcome};
use crate::report::{Report, UpgradeError};
use crate::sequencer::Rejected;
use crate::snapshot::Snapshot;

/// A count of microseconds on a clock that never goes back, from any beginning. Rooms measure their waits by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(pub u64);

impl Ticks {
    /// Returns the moment this many microseconds later.
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
    /// The session's reader of the [`History`](crate::History), at the place where the session begins.
    pub reader: Reader,
}

/// A transition that comes without a session.
#[derive(Clone, Debug)]
pub struct SubmitOnce {
    /// The participant who asks.
    pub author: Author,
    /// The client from which they ask.
    pub client: ClientId,
    /// The client's number for the transition.
    pub number: Number,
    /// The build in whose encoding the transition is.
    pub digest: Digest,
    /// The transition, in that build's encoding.
    pub transition: Bytes,
}

/// The id of one wait for the verdict on a [`SubmitOnce`]. The owner chooses the ids; each is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker(pub u64);

/// The outcome of a transition that came without a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The transition is in the log.
    Accepted {
        /// The seq of its event.
        seq: Seq,
        /// The time of its event.
        time: Timestamp,
    },
    /// The transition was not applied.
    Rejected(Rejection),
    /// The client's number was decided earlier.
    DecidedBefore {
        /// The seq of its event, if it became one and that is still known.
        seq: Option<Seq>,
    },
    /// The journal did not store the transition, or does not know whether it did; or the room broke before that.
    NotStored,
    /// The owner's queue for the room is full.
    Busy,
    /// The machine faulted on the participant's transitions, so the next one is not taken yet.
    MustWait {
        /// The microseconds until the transition may be submitted again; 0 if others of the participant come first.
        micros: u64,
    },
    /// The room runs another build now: encode the transition again.
    Upgraded,
}

/// The reason why a room was not upgraded. The room goes on with its former build.
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

/// The journal's note about a room, kept beside its log: the reasons to wake the room while it sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// The time when the room's alarm is due, if it has one.
    pub alarm: Option<Timestamp>,
    /// Whether somebody may be present. Nobody is present in a room that sleeps, so such a room is woken to record that they have left.
    pub is_occupied: bool,
}

/// The use of a room at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// The room has sessions, or its alarm goes off soon.
    InUse,
    /// The room has no sessions, and is answering its last requests.
    Passing,
    /// The room is unused. It could fall asleep now, although it may be too early for that.
    Unused {
        /// The time of the last use.
        since: Ticks,
    },
    /// The room is falling asleep.
    Ending,
}

/// One thing for the room's owner to do. The owner performs effects one at a time, in the order in which
/// [`Room::poll_effect`](super::Room::poll_effect) returns them.
#[derive(Debug)]
pub enum Effect {
    /// Appends the batch to the log, and stores the note in the same transaction. The owner goes on meanwhile and calls
    /// [`Room::handle_appended`](super::Room::handle_appended), or one of its siblings, once the journal has answered.
    Append {
        /// The next batch of the log.
        batch: Arc<Batch>,
        /// The note that holds after the batch.
        note: Note,
    },
    /// Restores a snapshot in an instance of its own, away from the room. The snapshot is of the room's current build. The owner reports the
    /// outcome with [`Room::handle_tried`](super::Room::handle_tried). The room goes on meanwhile, and may end without the outcome.
    TrySnapshot(Arc<Snapshot>),
    /// Stores a snapshot in the background. It was tried, and its checkpoint is in the log. Nothing is lost if that fails.
    StoreSnapshot(Arc<Snapshot>),
    /// Stores a note without a batch, and waits for the journal's answer, which goes to [`Room::handle_noted`](super::Room::handle_noted).
    Note(Note),
    /// Tells everyone who woke the room because of its note that the note's cause is settled.
    Rung,
    /// Sends a frame to one session. If it cannot be queued, the owner drops the session and calls
    /// [`Room::handle_unreachable`](super::Room::handle_unreachable).
    Send {
        /// The session.
        session: SessionId,
        /// An encoded message.
        frame: Bytes,
    },
    /// Asks the owner not to read from a session before this moment: its participant waits, after a fault. Messages that come nevertheless are
    /// kept.
    Slow {
        /// The session.
        session: SessionId,
        /// The time when to read on.
        until: Ticks,
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
    /// Sends the present participants to all sessions.
    Presence {
        /// The number of participants present.
        participants: usize,
        /// The encoded `Presence` message.
        frame: Bytes,
    },
    /// Counts a rejection that was told.
    CountRejection(Rejected),
    /// Tells one asker the outcome of its transition.
    Answer {
        /// The asker.
        asker: Asker,
        /// The outcome.
        verdict: Verdict,
    },
    /// Reports the result of the [`Room::handle_upgrade`](super::Room::handle_upgrade) that is waiting.
    Upgraded(Result<Seq, UpgradeFailed>),
    /// Reports something to the operator.
    Report(Report),
    /// Drops the room, once its last snapshot is stored. No effect follows this one.
    Sleep {
        /// The note with the reasons to wake the room.
        note: Note,
    },
}

/// The next step of a room's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Hands in the input of sessions and requests, or calls [`Room::handle_timer`](super::Room::handle_timer).
    HandIn,
    /// Hands in the journal's answer to an [`Effect::Append`].
    HandleAppended,
    /// Polls effects.
    Poll,
    /// Shows the state, or decodes a transition.
    Show,
}
