//! Transitions that come without a session. The owner waits for the outcome of each, which is an [`Effect::Answer`].

use super::{Asker, Effect, Now, Room, SubmitOnce, Verdict};
use crate::id::{ClientId, Number};
use crate::machine::Machine;
use crate::sequencer::Submit;

impl<M: Machine> Room<M> {
    /// Handles a transition that comes without a session. [`Effect::Answer`] tells its outcome.
    pub fn handle_submit_once(&mut self, asker: Asker, submit: SubmitOnce, now: &mut Now<'_>) {
        self.last_used = Some(now.ticks);
        let SubmitOnce { author, client, number, digest, transition } = submit;
        if digest != self.sequencer.digest() {
            return self.answer_one(asker, Verdict::Upgraded);
        }
        if let Some(micros) = self.backoffs.wait_micros(&author, now.ticks) {
            return self.answer_one(asker, Verdict::MustWait { micros });
        }
        self.askers.entry((client, number)).or_default().push(asker);
        let submit = Submit { author, client, number, upgraded: self.sequencer.upgraded(), transition };
        let entropy = now.draw();
        self.sequencer.handle_submit(submit, now.time, entropy);
        self.note_charges(now);
        self.note_if_told(client, number);
    }

    fn answer_one(&mut self, asker: Asker, verdict: Verdict) {
        self.effects.push_back(Effect::Answer { asker, verdict });
    }

    fn note_if_told(&mut self, client: ClientId, number: Number) {
        if self.sequencer.is_told(client, number) {
            self.repeated.push((client, number));
        }
    }
}
