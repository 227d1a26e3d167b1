//! The commands that wait for a room's next turn: transitions, and other commands, which do not wait behind them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::room::command::{Command, Ordered};
use crate::room::limits::{CONTROLS_IN_A_ROW_MAX, ROOM_CONTROLS_MAX, ROOM_INBOX_MAX};

/// The commands that a room's task has taken from its queues.
pub(super) struct Waiting {
    /// Sessions that begin and end, signals, views, and commands of the host.
    controls: VecDeque<Command>,
    /// Transitions, and commands that must stay in order with them.
    submits: VecDeque<Command>,
    /// Controls that were taken since the last submit.
    controls_in_a_row: usize,
}

/// The receiving ends of a room's queues.
pub(super) struct Inboxes {
    pub(super) controls: mpsc::Receiver<Command>,
    pub(super) submits: mpsc::Receiver<Ordered>,
}

impl Inboxes {
    /// Takes in nothing more, and drops all messages. A sender who found its queue open may only now put its message there. That is dropped here as
    /// well: in a queue that is only dropped it would stay, and its sender would wait for the answer forever.
    pub(super) async fn close(&mut self) {
        self.controls.close();
        self.submits.close();
        while self.controls.recv().await.is_some() {}
        while self.submits.recv().await.is_some() {}
    }
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self { controls: VecDeque::new(), submits: VecDeque::new(), controls_in_a_row: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.controls.is_empty() && self.submits.is_empty()
    }

    /// Takes commands from the queues, as far as there is space.
    pub(super) fn fill(&mut self, inboxes: &mut Inboxes) {
        while self.controls.len() < ROOM_CONTROLS_MAX
            && let Ok(command) = inboxes.controls.try_recv()
        {
            self.push_control(command);
        }
        while self.submits.len() < ROOM_INBOX_MAX
            && let Ok(command) = inboxes.submits.try_recv()
        {
            self.push_submit(command);
        }
    }

    /// Returns whether a signal waits. Later ones must not overtake it.
    pub(super) fn has_signal(&self) -> bool {
        self.controls.iter().any(|command| matches!(command, Command::Signal { .. }))
    }

    /// Returns whether another control may be added.
    pub(super) fn has_space(&self) -> bool {
        self.controls.len() < ROOM_CONTROLS_MAX
    }

    /// Hands controls to `handle`, until the time has come. Keeps those that it returns. A signal is kept if one before it was.
    pub(super) fn hand_controls(&mut self, until: Instant, mut handle: impl FnMut(Command) -> Option<Command>) {
        let mut keeps_signals = false;
        for command in std::mem::take(&mut self.controls) {
            let is_signal = matches!(command, Command::Signal { .. });
            let is_handed = Instant::now() < until && !(is_signal && keeps_signals);
            let command = if is_handed { handle(command) } else { Some(command) };
            keeps_signals |= is_signal && command.is_some();
            self.controls.extend(command);
        }
    }

    /// Adds commands that came later.
    pub(super) fn append(&mut self, later: Self) {
        self.controls.extend(later.controls);
        self.submits.extend(later.submits);
    }

    pub(super) fn push_control(&mut self, command: Command) {
        self.controls.push_back(command);
    }

    /// Adds a message of the queue of submits. Transitions that were sent together become commands of their own, so that a turn may end between
    /// them.
    pub(super) fn push_submit(&mut self, message: Ordered) {
        let (session, transitions, space) = match message {
            Ordered::Command(command) => return self.submits.push_back(command),
            Ordered::Transitions { session, transitions, space } => (session, transitions, Arc::new(space)),
        };
        self.submits.extend(transitions.into_iter().map(|(number, transition)| Command::Submit {
            session,
            number,
            transition,
            space: Arc::clone(&space),
        }));
    }

    /// Takes the next command if it is wanted. Controls go first, but only a limited number in a row.
    pub(super) fn pop_if(&mut self, is_wanted: impl FnOnce(&Command) -> bool) -> Option<Command> {
        let is_submits_turn = self.controls_in_a_row >= CONTROLS_IN_A_ROW_MAX && !self.submits.is_empty();
        let is_control = !self.controls.is_empty() && !is_submits_turn;
        let queue = if is_control { &mut self.controls } else { &mut self.submits };
        let command = queue.pop_front_if(|command| is_wanted(command))?;
        self.controls_in_a_row = if is_control { self.controls_in_a_row + 1 } else { 0 };
        Some(command)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use reapply_sync::{Number, Seq, SessionId};
    use tokio::sync::oneshot;

    use super::*;
    use crate::room::budget::Budget;
    use crate::room::submits::Submits;

    #[test]
    fn controls_do_not_wait_behind_submits_and_submits_not_forever() {
        let mut waiting = Waiting::new();
        for index in 0..3 {
            waiting.push_submit(Ordered::Command(Command::Followed { session: SessionId(index), upgrade: Seq(0) }));
        }
        for _ in 0..CONTROLS_IN_A_ROW_MAX + 1 {
            waiting.push_control(Command::Stop);
        }
        let mut popped =
            std::iter::from_fn(|| waiting.pop_if(|_| true).map(|command| matches!(command, Command::Stop)));
        assert!(popped.by_ref().take(CONTROLS_IN_A_ROW_MAX).all(|is_control| is_control));
        assert_eq!(popped.collect::<Vec<_>>(), [false, true, false, false]);
    }

    #[tokio::test]
    async fn transitions_that_were_sent_together_are_handled_one_by_one_and_keep_their_space() {
        let budget = Budget::new(0);
        let (submits, submits_inbox) = Submits::new(budget.clone());
        let (_controls, controls_inbox) = mpsc::channel(1);
        let transitions = vec![(Number(1), vec![0; 10].into()), (Number(2), vec![0; 10].into())];
        let session = SessionId(1);
        submits.send(2, 20, |space| Ordered::Transitions { session, transitions, space }).await.unwrap();
        submits.send_small(Ordered::Command(Command::Followed { session, upgrade: Seq(0) })).await.unwrap();
        let mut waiting = Waiting::new();
        waiting.fill(&mut Inboxes { controls: controls_inbox, submits: submits_inbox });
        for expected in [1, 2] {
            assert_eq!(budget.counted(), 20, "space was given back too early");
            let command = waiting.pop_if(|_| true);
            assert!(matches!(command, Some(Command::Submit { number: Number(number), .. }) if number == expected));
        }
        assert_eq!(budget.counted(), 0);
        assert!(matches!(waiting.pop_if(|_| true), Some(Command::Followed { .. })));
    }

    #[test]
    fn no_signal_overtakes_one_that_is_kept() {
        let mut waiting = Waiting::new();
        let signal = |session| Command::Signal { session: SessionId(session), body: bytes::Bytes::new() };
        for session in [1, 2, 1, 2] {
            waiting.push_control(signal(session));
        }
        waiting.push_control(Command::Stop);
        let mut handed = 0;
        let until = Instant::now() + std::time::Duration::from_secs(3600);
        waiting.hand_controls(until, |command| {
            handed += 1;
            // The session of the second signal is not known yet.
            match command {
                Command::Signal { session: SessionId(1), .. } | Command::Stop => None,
                command => Some(command),
            }
        });
        assert_eq!(handed, 3);
        let kept: Vec<u64> = waiting
            .controls
            .iter()
            .map(|command| match command {
                Command::Signal { session, .. } => session.0,
                _ => 0,
            })
            .collect();
        assert_eq!(kept, [2, 1, 2]);
        assert!(waiting.has_signal());
    }

    #[tokio::test]
    async fn whoever_sends_while_the_queues_close_is_not_left_waiting() {
        let (to_controls, controls) = mpsc::channel(1);
        let (to_submits, submits) = mpsc::channel(1);
        let mut inboxes = Inboxes { controls, submits };
        // These senders found the queues open.
        let (control, submit) = (to_controls.reserve().await.unwrap(), to_submits.reserve().await.unwrap());
        let (reply, answer) = oneshot::channel();
        let (second_reply, second_answer) = oneshot::channel();
        let mut closed = Box::pin(inboxes.close());
        let is_pending = std::future::poll_fn(|context| Poll::Ready(closed.as_mut().poll(context).is_pending())).await;
        assert!(is_pending, "the queues are closed before everything was sent");
        assert!(to_controls.is_closed() && to_submits.is_closed());
        control.send(Command::TellTally { reply });
        submit.send(Ordered::Command(Command::TellTally { reply: second_reply }));
        closed.await;
        drop(inboxes);
        assert!(answer.await.is_err() && second_answer.await.is_err());
        drop((to_controls, to_submits));
    }
}
