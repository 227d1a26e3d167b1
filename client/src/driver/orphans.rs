//! Clients that are gone and have left something in this room: each is delivered by a driver of its own, one after the other.

use reapply_sync::ClientKey;
use reapply_sync::room::Ticks;

use crate::limits::ORPHANS_AGAIN_MICROS;

/// How far the delivery is.
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
    /// Nothing is left that is known of. The next search begins then.
    Idle { until: Ticks },
    /// The owner looks for one.
    Looking,
    /// One is being delivered.
    Delivering,
}

impl Orphans {
    /// Whether to look for one now: the room was joined, or the store has opened since, and may hold something, too.
    pub(super) fn start(&mut self, is_joined: bool) -> bool {
        let may_start = match self.stage {
            Stage::Before => is_joined,
            Stage::Idle { .. } => true,
            Stage::Looking | Stage::Delivering => false,
        };
        if may_start {
            self.stage = Stage::Looking;
            // A client may have been left since by another page.
            self.served.clear();
        }
        may_start
    }

    /// The clients that this search has served already.
    pub(super) fn served(&self) -> &[ClientKey] {
        &self.served
    }

    /// The owner has found one, or none.
    pub(super) fn handle_found(&mut self, key: Option<ClientKey>, now: Ticks) {
        let idle = Stage::Idle { until: now.after(ORPHANS_AGAIN_MICROS) };
        self.stage = if key.is_some() { Stage::Delivering } else { idle };
        self.served.extend(key);
    }

    /// Returns when the next search begins.
    pub(super) fn wake_at(&self) -> Option<Ticks> {
        match self.stage {
            Stage::Idle { until } => Some(until),
            Stage::Before | Stage::Looking | Stage::Delivering => None,
        }
    }

    /// The one that was found is delivered, or cannot be. Whether to look for another.
    pub(super) fn handle_delivered(&mut self) -> bool {
        let is_next = self.stage == Stage::Delivering;
        if is_next {
            self.stage = Stage::Looking;
        }
        is_next
    }
}
