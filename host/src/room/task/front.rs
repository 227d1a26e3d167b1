//! The front of a room's task: what goes on while the decider is on a thread of the pool. The front never calls the machine.
//!
//! It passes signals from session to session, and answers with the view of the newest state once that was made. All other commands are for the
//! decider.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::{Author, History, SessionId};

use crate::room::command::{Command, DirectMessage, Outbox};
use crate::room::view::NewestView;

/// The sessions of a room, and what they and requests can have without its decider.
pub(super) struct Front {
    sessions: reapply_sync::room::Front,
    outboxes: HashMap<SessionId, Outbox>,
    history: Arc<History>,
    newest_view: NewestView,
    /// Whether a request was answered here, which the decider does not know.
    is_used: bool,
    /// Whether earlier signals wait, which the next ones must not overtake.
    keeps_signals: bool,
}

impl Front {
    pub(super) fn new(history: Arc<History>, newest_view: NewestView) -> Self {
        let (sessions, outboxes) = (reapply_sync::room::Front::default(), HashMap::new());
        Self { sessions, outboxes, history, newest_view, is_used: false, keeps_signals: false }
    }

    /// Keeps signals back for the decider, or passes them on again.
    pub(super) fn keep_signals(&mut self, keeps: bool) {
        self.keeps_signals = keeps;
    }

    /// Adds a session.
    pub(super) fn enter(&mut self, session: SessionId, participant: Author, outbox: Outbox) {
        self.sessions.handle_entered(session, participant);
        self.outboxes.insert(session, outbox);
    }

    /// Removes a session, and returns its outbox.
    pub(super) fn remove(&mut self, session: SessionId) -> Option<Outbox> {
        self.sessions.handle_ended(session);
        self.outboxes.remove(&session)
    }

    /// Sends a message to one session. Returns `false` if the session is gone, or its queue is full.
    pub(super) fn send(&self, session: SessionId, message: DirectMessage) -> bool {
        self.outboxes.get(&session).is_some_and(|outbox| outbox.try_send(message).is_ok())
    }

    /// Passes a signal to all other sessions. A session whose queue is full does not get it.
    pub(super) fn pass_signal(&self, from: SessionId, body: Bytes) {
        let Some(frame) = self.sessions.signal(from, body) else { return };
        for (_, outbox) in self.outboxes.iter().filter(|(session, _)| **session != from) {
            let _full = outbox.try_send(DirectMessage::Frame(frame.clone()));
        }
    }

    /// Handles a command, or returns it if it is for the decider.
    pub(super) fn handle(&mut self, command: Command) -> Option<Command> {
        match command {
            // Only the decider may know a session that begins in the turn which is under way.
            Command::Signal { session, body } if !self.keeps_signals && self.outboxes.contains_key(&session) => {
                self.pass_signal(session, body)
            }
            Command::Signal { session, body } => {
                self.keeps_signals = true;
                return Some(Command::Signal { session, body });
            }
            Command::View { reply } => match self.newest_view.at(self.history.head()) {
                Some(view) => {
                    self.is_used = true;
                    let _asker_gone = reply.send(Ok(view));
                }
                None => return Some(Command::View { reply }),
            },
            command => return Some(command),
        }
        None
    }

    /// Returns whether a request was answered here since the last call.
    pub(super) fn take_used(&mut self) -> bool {
        std::mem::take(&mut self.is_used)
    }
}

#[cfg(test)]
mod tests {
    use reapply_sync::{Chain, Digest, Limits, LogId, Seq, Snapshot, Timestamp};
    use tokio::sync::mpsc;

    use super::*;
    use crate::room::view::ViewMemory;

    fn front() -> Front {
        let base = Snapshot {
            seq: Seq(0),
            digest: Digest([0; 32]),
            state_version: 1,
            time: Timestamp(0),
            chain: Chain([0; 32]),
            clients: Vec::new(),
            forgotten: None,
            present: Vec::new(),
            state: Bytes::new(),
        };
        let history = History::new(LogId([0; 16]), base, &Limits::default());
        Front::new(Arc::new(history), NewestView::new(ViewMemory::new()))
    }

    #[test]
    fn no_signal_overtakes_one_that_only_the_decider_can_pass_on() {
        let mut front = front();
        let (outbox, mut heard) = mpsc::channel(10);
        let (silent, _unheard) = mpsc::channel(10);
        front.enter(SessionId(1), Author("ada".into()), outbox);
        front.enter(SessionId(2), Author("bob".into()), silent);
        let mut is_passed = |front: &mut Front, session: u64| {
            let command = Command::Signal { session: SessionId(session), body: Bytes::new() };
            let is_kept = front.handle(command).is_some();
            assert_eq!(heard.try_recv().is_err(), is_kept);
            !is_kept
        };
        assert!(is_passed(&mut front, 2));
        // This session begins in the turn that is under way.
        assert!(!is_passed(&mut front, 3));
        assert!(!is_passed(&mut front, 2), "it has overtaken the one before");
        front.keep_signals(false);
        assert!(is_passed(&mut front, 2));
    }
}
