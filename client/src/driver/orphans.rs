//! Clients that are gone and have left transitions in this room. Each is delivered for by a driver of its own, one after the other.

use reapply_sync::ClientKey;
use reapply_sync::room::Ticks;

use crate::limits::ORPHANS_AGAIN_MICROS;

/// The progress of the delivery.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    stage: Stage,
    served: Vec<ClientKey>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// The room was not joined yet.
    #[default]
    Before,
    /// No known client is left to deliver for. The next search begins at this time.
    Idle { until: Ticks },
    /// The owner looks for a client.
    Looking,
    /// A client is being delivered for.
    Delivering,
}

impl Orphans {
    /// Returns whether to look for a client now: the room was joined, or the store has opened since, and may hold some too.
    pub(super) fn start(&mut self, is_joined: bool) -> bool {
        let may_start = match self.stage {
            Stage::Before => is_joined,
            Stage::Idle { .. } => true,
            Stage::Looking | Stage::Delivering => false,
        };
        if may_start {
            self.stage = Stage::Looking;
            // Another page may have left something for a client since.
            self.served.clear();
        }
        may_start
    }

    /// Returns the clients that this search has served already.
    pub(super) fn served(&self) -> &[ClientKey] {
        &self.served
    }

    /// Handles the result of the owner's search.
    pub(super) fn handle_found(&mut self, key: Option<ClientKey>, now: Ticks) {
        let idle = Stage::Idle { until: now.after(ORPHANS_AGAIN_MICROS) };
        self.stage = if key.is_some() { Stage::Delivering } else { idle };
        self.served.extend(key);
    }

    /// Returns the time when the next search begins.
    pub(super) fn wake_at(&self) -> Option<Ticks> {
        match self.stage {
            Stage::Idle { until } => Some(until),
            Stage::Before | Stage::Looking | Stage::Delivering => None,
        }
    }

    /// Notes that the delivery for the client has ended, successful or not. Returns whether to look for another.
    pub(super) fn handle_delivered(&mut self) -> bool {
        let is_next = self.stage == Stage::Delivering;
        if is_next {
            self.stage = Stage::Looking;
        }
        is_next
    }
}
