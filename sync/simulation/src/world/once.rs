//! Clients that submit without a session, as over HTTP: with a key that they keep, with a key that they throw away, or with none.

use bytes::Bytes;
use reapply_sync::room::SubmitOnce;
use reapply_sync::{ClientId, ClientKey, Number, Seq};

use super::World;
use super::task::Waiting;
use crate::build::number_of;
use crate::scenario::{Ask, Scenario};

/// The key of a client that numbers its transitions and repeats a request that may have failed.
const KEPT: ClientKey = ClientKey([0xee; 16]);

impl<S: Scenario> World<S> {
    pub(super) fn submit_once(&mut self) {
        if self.is_down {
            return;
        }
        self.wake(true);
        let Some(shell) = &self.room else { return };
        self.coverage.submitted_once += 1;
        let digest = shell.room.sequencer().digest();
        let mark = number_of(S::NAME, digest);
        let what = self.scenario.act(self.tabs.len(), None, &mut self.random);
        self.nonces += 1;
        let plain = Ask { nonce: self.nonces, what }.encode();
        let transition: Bytes = [&[mark], &plain[..]].concat().into();
        let thrown_away = ClientKey(((u128::from(self.random.bits()) << 64) | 1).to_be_bytes()).client_id();
        let (client, number, transition) = match self.random.below(4) {
            0 => (ClientId::keyless(self.random.bits()), Number(1), transition),
            1 => (thrown_away, Number(1), transition),
            // A transition that no build accepts: it must leave no trace.
            2 => (thrown_away, Number(1), Bytes::from_static(&[0xff])),
            _ => {
                self.last_once = self.last_once.next();
                (KEPT.client_id(), self.last_once, transition)
            }
        };
        if transition.len() > 1 {
            self.auditor.note_applied((client, 0), number, plain, Seq(0), self.auditor.epoch());
        }
        let submit = SubmitOnce { author: client.anonymous_author(), client, number, digest, transition };
        // A request that is repeated at once is applied once: no client is forgotten within a turn.
        let times = if client == KEPT.client_id() && self.random.percent(30) { 2 } else { 1 };
        let askers = (0..times).map(|_| self.auditor.note_asked(client, number)).collect();
        self.inbox.push_back(Waiting::Once { askers, submit });
        self.pump_room();
    }
}
