//! Signals and presence. Each signal reaches everyone who is present once, in the order of its connection, and nobody who is gone. Each page
//! shows the participants as it last heard of them, and nobody while it has no connection.

use std::collections::BTreeSet;

use bytes::Bytes;
use reapply_sync::limits::SIGNAL_BYTES_MAX;
use reapply_sync::{Author, ClientMessage, Phase, Replica, ServerMessage, SessionId, Signal};

use super::World;
use super::signal_book::Heard;
use super::stranger::STRANGER;
use super::task::Waiting;
use crate::scenario::Scenario;

impl<S: Scenario> World<S> {
    /// Sends a signal of any size from a page.
    pub(super) fn signal(&mut self, tab: usize) {
        let Some(index) = self.tabs[tab].page else { return };
        self.signals.sent += 1;
        let length = 8 + if self.random.percent(5) { SIGNAL_BYTES_MAX } else { self.random.index(20) };
        let mut body = self.signals.sent.to_be_bytes().to_vec();
        body.resize(length, 0);
        let Some(driver) = &mut self.pages[index].driver else { return };
        let phase = driver.replica().map_or(Phase::Offline, Replica::phase);
        let is_sendable = length <= SIGNAL_BYTES_MAX && matches!(phase, Phase::CatchingUp | Phase::Live);
        assert_eq!(driver.signal(body.into()), is_sendable, "a signal of {length} bytes");
        self.pump_page(index);
    }

    /// Notes a frame that is handed in to the room, if it is a signal of a session.
    pub(super) fn note_signal_up(&mut self, connection: usize, author: &Author, frame: &[u8]) {
        let Ok(ClientMessage::Signal(body)) = ClientMessage::decode(frame) else { return };
        let Some(shell) = &self.room else { return };
        let Some(client) = shell.roster.client_of(connection) else { return };
        let may_be_dropped = shell.roster.has_later(client, connection);
        let signal = Signal { participant: author.clone(), session: SessionId(connection as u64), body };
        self.signals.note_handed_in(signal, may_be_dropped);
    }

    /// Returns whether the room's front handles this frame, which it does even while the room takes in nothing: a signal that comes behind nothing
    /// else of its session.
    pub(super) fn is_for_front(&self, connection: usize, frame: &[u8]) -> bool {
        let is_behind =
            |waiting: &Waiting| matches!(waiting, Waiting::Frame { connection: other, .. } if *other == connection);
        let has_session = self.room.as_ref().is_some_and(|shell| shell.roster.client_of(connection).is_some());
        let is_signal = matches!(ClientMessage::decode(frame), Ok(ClientMessage::Signal(_)));
        is_signal && has_session && !self.inbox.iter().any(is_behind)
    }

    /// Passes signals to all other sessions.
    pub(super) fn give_out_signals(&mut self) {
        for (from, frame) in self.with_room(|shell, _| std::mem::take(&mut shell.signals)).unwrap_or_default() {
            self.signals.note_given_out(SessionId(from as u64), &frame);
            self.with_room(|shell, _| shell.handle_signal(from, &frame));
        }
    }

    /// Notes a frame that comes to a page, on the connection that it has.
    pub(super) fn note_heard(&mut self, index: usize, frame: &[u8]) {
        let client = &mut self.pages[index];
        let replica = client.driver.as_ref().and_then(|driver| driver.replica());
        let waits = replica.is_some_and(|replica| replica.needs_machine().is_some());
        match ServerMessage::decode(frame) {
            Ok(ServerMessage::Signals(signals)) => {
                client.heard.signals.extend(signals.into_iter().map(|signal| (signal, waits)));
            }
            Ok(ServerMessage::Presence(presence)) => client.heard.presence = presence,
            _ => {}
        }
    }

    /// Checks a signal that a page shows: it must have come to the page, in that order.
    pub(super) fn check_signal(&mut self, index: usize, signal: &Signal) {
        self.signals.received += 1;
        loop {
            let Some((heard, may_be_dropped)) = self.pages[index].heard.signals.pop_front() else {
                panic!("page {index} shows {signal:?}, which did not come on this connection, or came once")
            };
            if heard == *signal {
                return;
            }
            assert!(may_be_dropped, "page {index} shows {signal:?}, and has passed over {heard:?}");
        }
    }

    /// Checks that a page shows exactly what it has received, once it has performed all effects.
    pub(super) fn check_heard(&mut self, index: usize) {
        let page = &mut self.pages[index];
        if page.connection.is_none() {
            page.heard = Heard::default();
        }
        let Some(replica) = page.driver.as_ref().and_then(|driver| driver.replica()) else { return };
        if replica.needs_machine().is_none() {
            page.heard.signals.retain(|(_, may_be_dropped)| !may_be_dropped);
            assert!(page.heard.signals.is_empty(), "page {index} does not show {:?}", page.heard.signals);
        }
        assert_eq!(*replica.presence(), page.heard.presence, "page {index} shows others than it heard of");
    }

    /// Checks that every page shows the present participants at the end.
    pub(super) fn check_presence(&self) {
        let Some(shell) = &self.room else { return };
        let present: BTreeSet<Author> = shell.roster.participants();
        for page in self.tabs.iter().filter_map(|tab| tab.page) {
            let replica = self.pages[page].driver.as_ref().and_then(|driver| driver.replica());
            let presence = replica.expect("everybody is there").presence();
            let shown: BTreeSet<Author> = presence.participants.iter().cloned().collect();
            assert_eq!(shown, present, "page {page} shows others than those who are there");
            assert_eq!(presence.count, present.len() as u64, "page {page} counts others");
        }
    }

    /// Returns a frame that is not a message, or that is a message and must not be accepted.
    pub(super) fn bad_frame(&mut self, good: &Bytes) -> Bytes {
        let oversized = ClientMessage::Signal(vec![0; SIGNAL_BYTES_MAX + 1].into());
        match self.random.below(6) {
            0 => Bytes::new(),
            1 => good.slice(..self.random.index(good.len())),
            2 => [&ClientMessage::Ping(self.random.bits()).encode()[..], &[0]].concat().into(),
            3 => oversized.encode(),
            4 => vec![2; reapply_sync::limits::CLIENT_MESSAGE_BYTES_MAX + 1].into(),
            _ => vec![0x3f; 1 + self.random.index(40)].into(),
        }
    }

    /// Returns whether a connection is a replica's, which sends only messages.
    pub(super) fn is_of_replica(&self, connection: usize) -> bool {
        self.connections[connection].client != STRANGER
    }
}
