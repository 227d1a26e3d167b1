//! The signals that are due, to the room and to a page.

use std::collections::VecDeque;

use reapply_sync::{Presence, ServerMessage, SessionId, Signal};

/// The signals that the room still has to give out.
#[derive(Default)]
pub(crate) struct SignalBook {
    /// Signals that were handed in and not given out yet. Those of a connection may be dropped if a newer one of the same client replaced it in
    /// the same turn.
    due: VecDeque<(Signal, bool)>,
    pub(super) sent: u64,
    pub(crate) given_out: u64,
    pub(crate) received: u64,
}

/// The messages that a page has received on its connection.
#[derive(Default)]
pub(crate) struct Heard {
    /// Signals that have come and were not shown yet. Those that came while the page could not read on may be dropped by a new greeting.
    pub(super) signals: VecDeque<(Signal, bool)>,
    pub(super) presence: Presence,
}

impl SignalBook {
    /// Notes that a signal of a session is handed in to the room.
    pub(super) fn note_handed_in(&mut self, signal: Signal, may_be_dropped: bool) {
        self.due.push_back((signal, may_be_dropped));
    }

    /// Checks a signal that the room gives out to all but `from`.
    pub(super) fn note_given_out(&mut self, from: SessionId, frame: &[u8]) {
        let Ok(ServerMessage::Signals(signals)) = ServerMessage::decode(frame) else { panic!("no signals") };
        let [signal] = &signals[..] else { panic!("{} signals in one", signals.len()) };
        assert_eq!(signal.session, from, "a signal in another session's name");
        while let Some((due, may_be_dropped)) = self.due.pop_front() {
            if due == *signal {
                self.given_out += 1;
                return;
            }
            assert!(may_be_dropped, "the room gave out {signal:?} before {due:?}");
        }
        panic!("nobody has sent {signal:?}, or it was given out before");
    }

    /// Checks that no signal is left once the room has finished its work.
    pub(super) fn check(&mut self) {
        let mut kept = std::mem::take(&mut self.due).into_iter().filter(|(_, may_be_dropped)| !may_be_dropped);
        assert_eq!(kept.next(), None, "a signal was given out to nobody");
    }

    /// Notes that the process is gone.
    pub(super) fn note_crash(&mut self) {
        self.due.clear();
    }
}
