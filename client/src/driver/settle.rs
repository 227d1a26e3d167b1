//! Settling after inputs: handling the replica's requests, taking on held transitions, writing and sending.

use std::collections::VecDeque;

use reapply_sync::room::{Now, Ticks};
use reapply_sync::{ClientMessage, Machine, Phase as ReplicaPhase};

use super::{Driver, Effect, Phase, Progress, Role, Who};
use crate::limits::BEHIND_MAX_MICROS;

impl<M: Machine> Driver<M> {
    pub(super) fn settle(&mut self, now: &mut Now<'_>) {
        if !matches!(self.phase, Phase::Closed) {
            self.greet();
            while self.settle_replica(now) {}
            self.write();
            self.send();
            if self.role == Role::Courier && matches!(self.phase, Phase::Live(_)) && self.transitions.len() == 0 {
                self.close("everything is delivered".to_owned());
            }
        }
        self.note();
    }

    /// Greets the room, once the client is known and there is a connection.
    pub(super) fn greet(&mut self) {
        if self.who == Who::Preparing && !self.queue.is_writing_all() {
            self.who = Who::Known;
        }
        let Some(replica) = self.replica.as_mut().filter(|_| self.who == Who::Known) else { return };
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Unnamed(link) => {
                self.phase = Phase::Joining(link);
                self.clock.begin();
                replica.handle_connected();
            }
            other => self.phase = other,
        }
    }

    /// Takes the replica's frames, outcomes and requests. Returns whether that may have led to more.
    fn settle_replica(&mut self, now: &mut Now<'_>) -> bool {
        let Some(replica) = &mut self.replica else { return false };
        replica.settle();
        self.refresh_at = replica.is_behind().then(|| self.refresh_at.unwrap_or(now.ticks.after(BEHIND_MAX_MICROS)));
        while let Some(frame) = replica.poll_transmit() {
            self.outbox.push_back(frame);
        }
        if replica.phase() == ReplicaPhase::Joining {
            self.transitions.handle_joining();
        }
        let mut ended = Vec::new();
        while let Some(decided) = replica.poll_ended() {
            ended.extend(self.transitions.decide(decided, &mut self.queue));
        }
        while let Some(signal) = replica.poll_signal() {
            self.effects.push_back(Effect::Signal(signal));
        }
        while let Some(divergence) = replica.poll_divergence() {
            self.effects.push_back(Effect::Diverged(divergence));
        }
        if let Some(sent) = replica.poll_pong() {
            self.latency.measure(Ticks(sent), now.ticks);
        }
        self.end_all(ended);
        self.follow_up(now)
    }

    /// Does what the replica's new condition asks for. Returns whether that may have led to more.
    fn follow_up(&mut self, now: &mut Now<'_>) -> bool {
        let Some(replica) = &mut self.replica else { return false };
        if let Some(digest) = replica.needs_machine()
            && self.loading != Some(digest)
        {
            self.loading = Some(digest);
            self.effects.push_back(Effect::Load(digest));
        }
        if let Some(goodbye) = replica.goodbye().cloned()
            && self.phase.open_link().is_some()
        {
            self.part(&goodbye, now);
            return false;
        }
        let has_come_to_life = self.follow_phase(now.ticks);
        self.release(now) || has_come_to_life
    }

    /// Follows the replica's phase. Returns whether the room's present state has just come.
    fn follow_phase(&mut self, now: Ticks) -> bool {
        let is_live = self.is_live();
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Joining(link) if is_live => self.phase = Phase::Live(link),
            Phase::Live(link) if !is_live => {
                self.phase = Phase::Joining(link);
                return false;
            }
            other => {
                self.phase = other;
                return false;
            }
        }
        self.reason = None;
        if self.progress != Progress::Joined {
            self.progress = Progress::Joined;
            if let Some(replica) = &mut self.replica {
                replica.skip_numbers(self.skips_numbers);
            }
            self.effects.push_back(Effect::Joined);
        }
        self.find_orphans();
        // This ping measures the latency from the beginning.
        if let Some(replica) = &mut self.replica {
            replica.ping(now.0);
        }
        true
    }

    /// Takes on the transitions that were asked for before the room was joined, as far as the replica can. Returns whether there were any.
    fn release(&mut self, now: &mut Now<'_>) -> bool {
        let Some(replica) = self.replica.as_mut().filter(|_| self.progress == Progress::Joined) else { return false };
        let (mut has_released, mut all_ended) = (false, Vec::new());
        while !replica.is_full() && replica.confirmed_at().is_some() {
            let (time, entropy) = (self.clock.now(now), (now.entropy)());
            let Some(ended) = self.transitions.release(replica, &mut self.queue, time, entropy) else { break };
            all_ended.extend(ended);
            has_released = true;
        }
        self.end_all(all_ended);
        has_released
    }

    /// Writes all changes, before anything is sent.
    fn write(&mut self) {
        if let Some(replica) = self.replica.as_ref().filter(|_| !self.outbox.is_empty()) {
            self.transitions.mark_sent(replica, &mut self.queue);
        }
        self.flush_writes();
    }

    /// Sends the waiting frames. While the store may say of an entry that it was never sent, no transition is sent.
    fn send(&mut self) {
        let Some(connection) = self.phase.open_link().map(|link| link.id) else {
            self.outbox.clear();
            return;
        };
        let must_wait = self.queue.has_stale();
        let mut waiting = VecDeque::new();
        for frame in std::mem::take(&mut self.outbox) {
            if must_wait {
                match ClientMessage::decode(&frame) {
                    Ok(ClientMessage::Submit { .. }) => {
                        waiting.push_back(frame);
                        continue;
                    }
                    // After these messages the replica sends all undecided transitions again, in the encoding that goes with each message.
                    Ok(ClientMessage::Hello(_) | ClientMessage::Upgraded(_)) => waiting.clear(),
                    _ => {}
                }
            }
            self.effects.push_back(Effect::Send { connection, frame });
        }
        self.outbox = waiting;
    }
}
