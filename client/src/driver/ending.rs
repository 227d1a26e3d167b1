//! The end of a driver: by itself, by its owner, or because another page has become this client. Also the clients that are delivered for until
//! then.

use reapply_sync::room::Now;
use reapply_sync::{ClientKey, Machine};

use super::{Driver, Effect, Phase, Role};

impl<M: Machine> Driver<M> {
    /// Handles that the page leaves the room.
    pub fn handle_close(&mut self, now: &mut Now<'_>) {
        // Transitions that the page has asked for before are written.
        self.settle(now);
        self.close("this page has closed it".to_owned());
    }

    /// Handles that another page has taken the client over. Numbers given out from here on could collide with those of the other page.
    pub fn handle_identity_lost(&mut self) {
        self.queue.disown();
        self.close("another page is this client now".to_owned());
    }

    /// Handles the answer to [`Effect::FindOrphan`]: the client that was found, if any. A [courier](Role::Courier) delivers for it now.
    pub fn handle_orphan(&mut self, key: Option<ClientKey>, now: &mut Now<'_>) {
        self.orphans.handle_found(key, now.ticks);
    }

    /// Handles that the courier has left the room.
    pub fn handle_delivered(&mut self) {
        if self.orphans.handle_delivered() && !matches!(self.phase, Phase::Closed) {
            self.effects.push_back(Effect::FindOrphan);
        }
    }

    /// Returns the clients that were already delivered for, and must not be found again.
    #[must_use]
    pub fn served(&self) -> &[ClientKey] {
        self.orphans.served()
    }

    /// Looks for orphans. This is called when the room was joined, when the store has opened, and from time to time.
    pub(super) fn find_orphans(&mut self) {
        let is_joined = matches!(self.phase, Phase::Live(_));
        if self.role == Role::Participant && self.orphans.start(is_joined) {
            self.effects.push_back(Effect::FindOrphan);
        }
    }

    pub(super) fn close(&mut self, why: String) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        if let Some(link) = self.phase.link() {
            self.effects.push_back(Effect::Disconnect(link.id));
        }
        self.flush_writes();
        self.queue.disown();
        self.transitions.abandon();
        self.outbox.clear();
        if let Some(replica) = &mut self.replica {
            replica.handle_disconnected();
        }
        self.phase = Phase::Closed;
        self.reason = Some(why.clone());
        self.effects.push_back(Effect::Closed { why });
    }
}
