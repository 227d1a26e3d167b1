//! Everything that a page can look at, and whether it has changed.

use std::sync::Arc;

use reapply_sync::room::Now;
use reapply_sync::{Author, Digest, Machine, Number, Presence, Replica, Seq, Timestamp};

use super::{Driver, Phase, Progress};

/// How a page stands in its room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// The room is being joined.
    #[default]
    Connecting,
    /// Shows the present.
    Live,
    /// Cut off; goes on by itself.
    Offline,
    /// For good.
    Closed,
}

impl Status {
    /// Returns the status as one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Offline => "offline",
            Self::Closed => "closed",
        }
    }
}

/// The last values of what can be looked at, and how often they have changed.
#[derive(Debug, Default)]
pub(super) struct Watch {
    shown: Shown,
    presence: Presence,
    states: States,
    revision: u32,
    states_revision: u32,
    presence_revision: u32,
}

/// What a view depends on, as far as that can be told without making it.
type States = (Option<Seq>, Option<Digest>, usize);

#[derive(Debug, Default, PartialEq, Eq)]
struct Shown {
    status: Status,
    reason: Option<String>,
    pending: usize,
    is_durable: bool,
    participant: Option<Author>,
    arriving: Option<(u64, u64)>,
}

impl Watch {
    /// Notes that a view may be another one, though nothing else shows it.
    pub(super) fn states_changed(&mut self) {
        self.states_revision = self.states_revision.wrapping_add(1);
        self.revision = self.revision.wrapping_add(1);
    }
}

impl<M: Machine> Driver<M> {
    /// Returns a number that is another one when anything that a page can look at has changed; but for the latency and the time.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.watch.revision
    }

    /// Returns a number that is another one when a view may be another one.
    #[must_use]
    pub fn states_revision(&self) -> u32 {
        self.watch.states_revision
    }

    /// Returns a number that is another one when the participants are others.
    #[must_use]
    pub fn presence_revision(&self) -> u32 {
        self.watch.presence_revision
    }

    /// Returns how this page stands in the room.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.phase {
            Phase::Closed => Status::Closed,
            Phase::Live(_) => Status::Live,
            Phase::Unnamed(_) | Phase::Joining(_) => Status::Connecting,
            Phase::Opening(_) if self.progress == Progress::Begun => Status::Connecting,
            Phase::Opening(_) | Phase::Waiting { .. } => Status::Offline,
        }
    }

    /// Returns why the room is closed, or why this page is not in it now.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Returns how many transitions have no outcome, those of earlier pages included.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.transitions.held() + self.replica.as_ref().map_or(0, Replica::pending)
    }

    /// Returns how many bytes of the room's state have arrived, and how many it has; none unless it comes in parts.
    #[must_use]
    pub fn arriving(&self) -> Option<(u64, u64)> {
        self.replica.as_ref()?.arriving()
    }

    /// Whether transitions that have no outcome outlive this page.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.queue.is_durable()
    }

    /// Returns the transitions that are taken on and have no outcome: their numbers, and what they are as JSON.
    pub fn undecided(&self) -> impl Iterator<Item = (Number, &Arc<str>)> {
        self.transitions.undecided()
    }

    /// Returns the host's time, as far as it is known here.
    #[must_use]
    pub fn time(&self, now: &Now<'_>) -> Timestamp {
        self.clock.now(now)
    }

    /// Returns the way to the host and back in microseconds, smoothed.
    #[must_use]
    pub fn latency_micros(&self) -> Option<f64> {
        self.latency.micros()
    }

    /// Returns the build that runs.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Returns the replica, once the client is known.
    #[must_use]
    pub fn replica(&self) -> Option<&Replica<M>> {
        self.replica.as_ref()
    }

    /// Returns the machine and the confirmed state.
    pub fn confirmed(&mut self) -> Option<(&mut M, &M::State)> {
        self.replica.as_mut()?.confirmed()
    }

    /// Returns the machine and the optimistic state, which is right once all effects were taken; with very many transitions pending it may
    /// lack the changes of the last [`BEHIND_MAX_MICROS`](crate::limits::BEHIND_MAX_MICROS).
    pub fn optimistic(&mut self) -> Option<(&mut M, &M::State)> {
        self.replica.as_mut()?.optimistic()
    }

    /// Notes what can be looked at now.
    pub(super) fn note(&mut self) {
        let shown = Shown {
            status: self.status(),
            reason: self.reason.clone(),
            pending: self.pending(),
            is_durable: self.is_durable(),
            participant: self.replica.as_ref().and_then(Replica::participant).cloned(),
            arriving: self.arriving(),
        };
        let watch = &mut self.watch;
        if watch.shown != shown {
            watch.shown = shown;
            watch.revision = watch.revision.wrapping_add(1);
        }
        let Some(replica) = &self.replica else { return };
        let states = (replica.confirmed_at().map(|(seq, _)| seq), self.digest, replica.pending());
        if watch.states != states {
            watch.states = states;
            watch.states_changed();
        }
        if watch.presence != *replica.presence() {
            watch.presence = replica.presence().clone();
            watch.presence_revision = watch.presence_revision.wrapping_add(1);
            watch.revision = watch.revision.wrapping_add(1);
        }
    }
}
