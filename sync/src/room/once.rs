//! Transitions that come without a session. The owner waits for the outcome of each, which is an [`Effect::Answer`].

use bytes::Bytes;

use super::{Asker, Effect, Now, Room, SubmitOnce, Verdict};
use crate::id::{ClientId, Number};
use crate::machine::Machine;
use crate::message::Rejection;
use crate::sequencer::{Rejected, Submit};

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

    /// Handles a transition without a session that the build `digest` cannot encode, for the reason `why`. If its number was decided before, perhaps
    /// under an earlier build, [`Effect::Answer`] tells that outcome. Otherwise it tells the rejection, and the number stays undecided.
    pub fn handle_unreadable_once(&mut self, asker: Asker, submit: SubmitOnce, why: Rejection, now: &mut Now<'_>) {
        self.last_used = Some(now.ticks);
        let SubmitOnce { author, client, number, digest, .. } = submit;
        if digest != self.sequencer.digest() {
            return self.answer_one(asker, Verdict::Upgraded);
        }
        let is_decided = self.sequencer.is_decided(client, number);
        if !is_decided && !self.askers.contains_key(&(client, number)) {
            self.answer_one(asker, Verdict::Rejected(why.clone()));
            let rejected = Rejected { author, client, number, why, is_repeated: false };
            return self.effects.push_back(Effect::CountRejection(rejected));
        }
        self.askers.entry((client, number)).or_default().push(asker);
        if is_decided {
            let upgraded = self.sequencer.upgraded();
            let submit = Submit { author, client, number, upgraded, transition: Bytes::new() };
            self.sequencer.handle_refused(&submit, why);
        }
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
