//! Making right what the last inputs have brought forth: what the replica asks for, what is taken on now, and what is written and sent.

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

    /// Says who this client is, once that is known and there is a connection.
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

    /// Takes what the replica has brought forth. Whether something was done that may bring forth more.
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
        while let Some((number, outcome)) = replica.poll_outcome() {
            ended.extend(self.transitions.decide(number, outcome, &mut self.queue));
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

    /// Does what the replica's new condition asks for. Whether that may have brought forth more.
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

    /// Whether the room's present has come.
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
            self.effects.push_back(Effect::Joined);
        }
        self.find_orphans();
        // So the latency is known from the beginning.
        if let Some(replica) = &mut self.replica {
            replica.ping(now.0);
        }
        true
    }

    /// Takes on what was asked for before the room was joined, as far as the replica can. Whether there was anything.
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

    /// Writes what has changed, before anything is sent.
    fn write(&mut self) {
        if let Some(replica) = self.replica.as_ref().filter(|_| !self.outbox.is_empty()) {
            self.transitions.mark_sent(replica, &mut self.queue);
        }
        self.flush_writes();
    }

    /// Sends what is on its way to the connection. While the store may say of an entry that it was never sent, no transition is.
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
                    // After these the replica sends everything again that is undecided, in the encoding that goes with it.
                    Ok(ClientMessage::Hello(_) | ClientMessage::Upgraded(_)) => waiting.clear(),
                    _ => {}
                }
            }
            self.effects.push_back(Effect::Send { connection, frame });
        }
        self.outbox = waiting;
    }
}
