//! What a page can look at.

use std::sync::Arc;

use reapply_sync::room::Now;
use reapply_sync::{Digest, Machine, Number, Replica, Timestamp};

use super::watch::{Shown, Status};
use super::{Driver, Phase, Progress};

impl<M: Machine> Driver<M> {
    /// Returns a number that changes whenever anything that a page can look at changes, except for the latency and the time.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.watch.revision()
    }

    /// Returns a number that changes whenever a view may have changed.
    #[must_use]
    pub fn states_revision(&self) -> u32 {
        self.watch.states_revision()
    }

    /// Returns a number that changes whenever the participants change.
    #[must_use]
    pub fn presence_revision(&self) -> u32 {
        self.watch.presence_revision()
    }

    /// Returns the state of this page's connection to the room.
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

    /// Returns the reason why the room is closed, or why this page is not in it now.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Returns the number of transitions without an outcome, including those of earlier pages.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.transitions.held() + self.replica.as_ref().map_or(0, Replica::pending)
    }

    /// Returns the number of bytes of the room's state that have arrived, and its size. Returns `None` unless the state comes in parts.
    #[must_use]
    pub fn arriving(&self) -> Option<(u64, u64)> {
        self.replica.as_ref()?.arriving()
    }

    /// Returns whether transitions without an outcome outlive this page.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.queue.is_durable()
    }

    /// Returns the transitions that are taken on and have no outcome: each number, and the transition as JSON.
    pub fn undecided(&self) -> impl Iterator<Item = (Number, &Arc<str>)> {
        self.transitions.undecided()
    }

    /// Returns the host's time, as far as it is known here.
    #[must_use]
    pub fn time(&self, now: &Now<'_>) -> Timestamp {
        self.clock.now(now)
    }

    /// Returns the time to the host and back in microseconds, smoothed.
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

    /// Returns the machine and the optimistic state. The state is up to date once all effects were taken. With very many transitions pending,
    /// it may lack the changes of the last [`BEHIND_MAX_MICROS`](crate::limits::BEHIND_MAX_MICROS).
    pub fn optimistic(&mut self) -> Option<(&mut M, &M::State)> {
        self.replica.as_mut()?.optimistic()
    }

    /// Notes the values that a page can look at now.
    pub(super) fn note(&mut self) {
        let shown = Shown {
            status: self.status(),
            reason: self.reason.clone(),
            pending: self.pending(),
            is_durable: self.is_durable(),
            participant: self.replica.as_ref().and_then(Replica::participant).cloned(),
            arriving: self.arriving(),
        };
        self.watch.note(shown);
        let Some(replica) = &self.replica else { return };
        let states = (replica.confirmed_at().map(|(seq, _)| seq), self.digest, replica.pending());
        self.watch.note_states(states);
        self.watch.note_presence(replica.presence());
    }
}
