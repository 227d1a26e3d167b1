//! Transitions that are held, because the machine faulted on others of the same participant.

use super::limits::HELD_AT_ONCE_MAX;
use super::{Effect, Now, Room};
use crate::id::SessionId;
use crate::machine::Machine;
use crate::message::Goodbye;
use crate::sequencer::Submit;

impl<M: Machine> Room<M> {
    /// Keeps a transition until its participant has waited. If there is no space, ends the session: its client will come again.
    pub(super) fn hold(&mut self, session: SessionId, submit: Submit, now: &mut Now<'_>) {
        if self.backoffs.hold(session, submit) {
            return;
        }
        let why = "the machine faulted on this participant's transitions, and as many as may wait are waiting; try again later";
        self.effects.push_back(Effect::End { session, why: Goodbye::Full(why.to_owned()) });
        self.remove(session, now);
    }

    /// Decides some of the transitions that have waited enough, as long as the room is open. The room wakes at once for the others.
    pub(super) fn let_go_of_held(&mut self, now: &mut Now<'_>) {
        for _ in 0..HELD_AT_ONCE_MAX {
            if !self.is_open() {
                return;
            }
            let Some(submit) = self.backoffs.take(now.ticks) else { return };
            let entropy = now.draw();
            self.sequencer.handle_submit(submit, now.time, entropy);
            self.note_charges(now);
        }
    }

    /// Makes participants wait who are charged for a fault. Their sessions are told, and need not be read meanwhile.
    pub(super) fn note_charges(&mut self, now: &Now<'_>) {
        while let Some((author, cost)) = self.sequencer.poll_charge() {
            let until = self.backoffs.charge(&author, cost, now.ticks);
            for session in self.sessions.of_participant(&author) {
                self.effects.push_back(Effect::Slow { session, until });
            }
        }
    }
}
