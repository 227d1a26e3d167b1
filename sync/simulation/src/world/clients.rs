//! What happens at the clients, and on the way to them.

use reapply_sync::{ClientMessage, Number, Phase, Rejection, Replica, Seq, ServerMessage, SubmitError, Timestamp};

use super::stranger::STRANGER;
use super::{Task, World};
use crate::auditor::Page;
use crate::build::to_json;
use crate::faults::Doing;
use crate::network::Connection;
use crate::scenario::{Ask, Scenario};

impl<S: Scenario> World<S> {
    pub(super) fn connect_later(&mut self, client: usize) {
        if self.clients[client].is_connecting {
            return;
        }
        self.clients[client].is_connecting = true;
        let wait_max = if self.random.percent(50) { 20_000 } else { 2_000_000 };
        let (after, page) = (self.random.below(wait_max), self.clients[client].page);
        self.schedule(after, Task::Connect { client, page });
    }

    pub(super) fn connect(&mut self, index: usize, page: u64) {
        if self.clients[index].page != page {
            return;
        }
        self.clients[index].is_connecting = false;
        if self.is_down {
            self.connect_later(index);
            return;
        }
        let (author, epoch) = (self.clients[index].author.clone(), self.auditor.epoch());
        self.connections.push(Connection::new(index, author, self.host, epoch, &mut self.random));
        self.clients[index].connection = Some(self.connections.len() - 1);
        self.note_unheard(index);
        self.clients[index].replica.handle_connected();
        self.flush(index);
    }

    pub(super) fn frame_down(&mut self, connection: usize, frame: &[u8]) {
        let index = self.connections[connection].client;
        if index == STRANGER {
            return self.check_stranger(connection, frame);
        }
        let is_open = self.connections[connection].down.is_open(self.now);
        if self.clients[index].connection != Some(connection) || !is_open {
            return;
        }
        if let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(frame) {
            self.connections[connection].welcomed_at = welcome.head;
        }
        self.note_heard(index, frame);
        self.clients[index].replica.handle_frame(frame).expect("the room sends only messages");
        self.flush(index);
    }

    /// The client learns that a connection is gone.
    pub(super) fn client_closed(&mut self, connection: usize) {
        let index = self.connections[connection].client;
        if index == STRANGER {
            return;
        }
        let client = &mut self.clients[index];
        if client.connection == Some(connection) {
            client.connection = None;
            client.replica.handle_disconnected();
            self.note_unheard(index);
            self.flush(index);
            self.connect_later(index);
        }
    }

    /// Cuts a connection: each end learns of it in its own time, and what is under way beyond that is lost.
    pub(super) fn cut(&mut self, connection: usize) {
        let up_at = self.connections[connection].up.cut(self.now, &mut self.random);
        let down_at = self.connections[connection].down.cut(self.now, &mut self.random);
        self.schedule(up_at.saturating_sub(self.now), Task::UpClosed { connection });
        self.schedule(down_at.saturating_sub(self.now), Task::DownClosed { connection });
    }

    /// Does what a driver does after it has handed something in.
    pub(super) fn flush(&mut self, index: usize) {
        if let Some(connection) = self.clients[index].connection
            && matches!(self.clients[index].replica.phase(), Phase::CatchingUp | Phase::Live)
        {
            self.clients[index].epoch = self.connections[connection].epoch;
        }
        if self.random.percent(70) || self.is_calm {
            self.clients[index].replica.settle();
        }
        let page = self.page(index);
        while let Some((number, outcome)) = self.clients[index].replica.poll_outcome() {
            self.auditor.note_outcome(page, number, outcome, self.clients[index].epoch);
        }
        self.check_heard(index);
        let struck = self.clients[index].faults.take();
        self.coverage.page_faults += struck.len() as u64;
        while let Some(divergence) = self.clients[index].replica.poll_divergence() {
            self.coverage.divergences += 1;
            let has_faulted = divergence.ours.is_none() && struck.iter().any(|(doing, _)| *doing == Doing::Apply);
            assert!(self.clients[index].is_corrupted || has_faulted, "a sound replica diverged");
        }
        while let Some(frame) = self.clients[index].replica.poll_transmit() {
            let Some(connection) = self.clients[index].connection else { continue };
            if let Ok(ClientMessage::Submit { number, .. }) = ClientMessage::decode(&frame) {
                // It may have been sent before the last welcome that came.
                let welcomed_at = self.connections[connection].welcomed_at;
                let sent_at = self.clients[index].replica.sent_at(number);
                self.auditor.note_sent(page, number, sent_at.map_or(welcomed_at, |sent_at| sent_at.min(welcomed_at)));
            }
            if let Some(at) = self.connections[connection].up.arrival(self.now, &mut self.random) {
                self.schedule(at - self.now, Task::Up { connection, frame });
            }
        }
        if let Some(goodbye) = self.clients[index].replica.goodbye()
            && let Some(connection) = self.clients[index].connection
        {
            assert!(goodbye.retry(), "{goodbye}");
            self.cut(connection);
            self.client_closed(connection);
            return;
        }
        let client = &mut self.clients[index];
        if let Some(digest) = client.replica.needs_machine()
            && !client.is_loading
        {
            client.is_loading = true;
            let page = client.page;
            let after = self.random.below(500_000);
            self.schedule(after, Task::MachineLoaded { client: index, page, digest });
        }
        self.check_client(index);
    }

    pub(super) fn page(&self, index: usize) -> Page {
        (self.clients[index].key.client_id(), self.clients[index].page)
    }

    fn check_client(&mut self, index: usize) {
        let undecided = self.auditor.undecided(self.page(index));
        let client = &mut self.clients[index];
        assert_eq!(client.replica.pending(), undecided, "pending is not what has no outcome");
        let Some((seq, _)) = client.replica.confirmed_at() else { return };
        if let Some((_, shown)) = client.replica.optimistic() {
            S::check_shown(shown);
        }
        let Some((_, state)) = client.replica.confirmed() else { return };
        let model = self.auditor.model(seq, client.epoch);
        if S::agrees(model, state) {
            client.is_corrupted = false;
        } else {
            assert!(
                client.is_corrupted,
                "the confirmed state at {seq} is\n{state:?}\nwhere the log makes it\n{model:?}"
            );
        }
    }

    pub(super) fn act(&mut self, index: usize) {
        let what = if self.random.percent(self.pads_percent) {
            S::ballast(8_000)
        } else {
            let shown = self.clients[index].replica.optimistic().map(|(_, state)| state);
            self.scenario.act(index, shown, &mut self.random)
        };
        self.apply(index, what);
    }

    pub(super) fn apply(&mut self, index: usize, what: S::What) {
        self.nonces += 1;
        let plain = Ask { nonce: self.nonces, what }.encode();
        // A client's clock is its own.
        let clock = Timestamp(self.random.below(self.now * 2));
        let page = self.page(index);
        let replica = &mut self.clients[index].replica;
        let seen = replica.confirmed_at().map_or(Seq(0), |(seq, _)| seq);
        let transition = replica.machine().map_or_else(|| plain.clone(), |machine| machine.write(&plain));
        match replica.apply(transition, clock, self.random.bits()) {
            Ok(number) => self.auditor.note_applied(page, number, plain, seen, self.clients[index].epoch),
            Err(SubmitError::Rejected(Rejection::Trapped(_))) => self.coverage.local_traps += 1,
            Err(SubmitError::Rejected(_) | SubmitError::NotReady) => {}
            Err(error) => panic!("{error}"),
        }
        self.flush(index);
    }

    pub(super) fn mischief(&mut self) {
        let index = self.random.index(self.clients.len());
        match self.random.below(12) {
            10.. => self.upgrade_room(),
            0..5 => {
                if let Some(connection) = self.clients[index].connection {
                    self.cut(connection);
                }
            }
            5..7 => self.crash_host(),
            7 => self.corrupt(index),
            _ => self.reload(index),
        }
    }

    /// The page is loaded anew: only the client's key is left of it, and, where it kept that, its queue.
    fn reload(&mut self, index: usize) {
        self.coverage.reloads += 1;
        let (page, keeps) = (self.page(index), self.random.percent(50));
        if let Some(connection) = self.clients[index].connection.take() {
            self.cut(connection);
        }
        let client = &mut self.clients[index];
        client.page += 1;
        client.heard = super::signals::Heard::default();
        let former = std::mem::replace(&mut client.replica, Replica::new(client.key.clone(), Number(0)));
        if keeps {
            // Numbers were reserved beforehand; and the queue's newest entries may not have been written yet.
            client.replica = Replica::new(client.key.clone(), Number(former.last_number().0 + 7));
            let kept = self.auditor.queue(page);
            let kept_count = kept.len() - if self.random.percent(80) { 0 } else { self.random.index(kept.len() + 1) };
            for (number, transition) in kept.into_iter().take(kept_count) {
                let sent_at = former.sent_at(number);
                let (now, entropy) = (Timestamp(self.now), self.random.bits());
                client.replica.restore_pending(number, to_json(&transition), now, entropy, sent_at).unwrap();
                self.auditor.note_restored(page, number);
                self.coverage.restored += 1;
            }
        }
        (client.is_connecting, client.is_loading, client.is_corrupted) = (false, false, false);
        self.connect_later(index);
    }

    /// Flips something in a replica's confirmed state, as a bug of the machine or of its engine would.
    fn corrupt(&mut self, index: usize) {
        let client = &mut self.clients[index];
        // A second corruption could hide the first one.
        if client.is_corrupted {
            return;
        }
        let Some((_, state)) = client.replica.confirmed() else { return };
        if self.scenario.corrupt(state, &mut self.random) {
            client.is_corrupted = true;
            self.coverage.corruptions += 1;
        }
    }
}
