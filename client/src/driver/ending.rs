//! How a driver ends: by itself, by its owner, or because another page is this client now. And who is delivered beside it until then.

use reapply_sync::room::Now;
use reapply_sync::{ClientKey, Machine};

use super::{Driver, Effect, Phase, Role};

impl<M: Machine> Driver<M> {
    /// The page leaves the room.
    pub fn handle_close(&mut self, now: &mut Now<'_>) {
        // What it has asked for before is written.
        self.settle(now);
        self.close("this page has closed it".to_owned());
    }

    /// Another page has taken the client over. Numbers that this one gives out from here on would be the other's as well.
    pub fn handle_identity_lost(&mut self) {
        self.queue.disown();
        self.close("another page is this client now".to_owned());
    }

    /// The client that [`Effect::FindOrphan`] has asked for, if there is one: a [courier](Role::Courier) delivers for it now.
    pub fn handle_orphan(&mut self, key: Option<ClientKey>, now: &mut Now<'_>) {
        self.orphans.handle_found(key, now.ticks);
    }

    /// The courier has left the room.
    pub fn handle_delivered(&mut self) {
        if self.orphans.handle_delivered() && !matches!(self.phase, Phase::Closed) {
            self.effects.push_back(Effect::FindOrphan);
        }
    }

    /// The clients that were delivered for already, and are not to be found again.
    #[must_use]
    pub fn served(&self) -> &[ClientKey] {
        self.orphans.served()
    }

    /// Looks for orphans: the room was joined, the store has opened, or some time has passed.
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
