//! The askers of transitions that come without a session. Each gets one verdict.

use std::collections::BTreeSet;

use reapply_sync::room::{Asker, Verdict};
use reapply_sync::{ClientId, Event, Input, Number, Outcome};

use super::Auditor;
use crate::scenario::Scenario;

impl<S: Scenario> Auditor<S> {
    /// Notes that somebody submits a transition without a session, and waits for the verdict.
    pub(crate) fn note_asked(&mut self, client: ClientId, number: Number) -> Asker {
        self.askers_made += 1;
        let asker = Asker(self.askers_made);
        self.askers.insert(asker, (client, number));
        asker
    }

    /// Notes that the room did not open, and that these askers were told so.
    pub(crate) fn note_unserved(&mut self, askers: &[Asker]) {
        self.askers.retain(|asker, _| !askers.contains(asker));
    }

    /// Notes that everyone who waits loses their connection.
    pub(crate) fn note_crash(&mut self) {
        self.askers.clear();
    }

    /// Checks the verdict on a transition that was submitted without a session. `has_failed` says that the last append was certainly not
    /// stored.
    pub(crate) fn note_verdict(&mut self, asker: Asker, verdict: Verdict, has_failed: bool) {
        let (client, number) = self.askers.remove(&asker).expect("a verdict for nobody");
        self.verdicts += 1;
        let is_logged = |event: &&Event| matches!(event.input, Input::Transition { client: by, number: n, .. } if (by, n) == (client, number));
        let logged = self.log.iter().find(is_logged).map(|event| event.seq);
        let outcome = match verdict {
            Verdict::Accepted { seq, time } => Outcome::Accepted { seq, time },
            Verdict::Rejected(why) => Outcome::Rejected(why),
            Verdict::DecidedBefore { seq } => {
                assert!(seq.is_none() || seq == logged, "{client} {number} was decided as {seq:?}, and is {logged:?}");
                return;
            }
            Verdict::NotStored => return assert!(logged.is_none() || !has_failed, "{client} {number} is in the log"),
            Verdict::Upgraded => return assert_eq!(logged, None, "{client} {number} was not taken, and is in the log"),
            // The participant waits after a fault. An earlier transition with the same number may be in the log.
            Verdict::Busy | Verdict::MustWait { .. } => return,
        };
        self.note_repeatable_outcome((client, 0), number, outcome, self.epoch());
    }

    /// Checks that nobody waits for a verdict in a room that sleeps, or at the end. The askers in `waiting` have not been handed in.
    pub(crate) fn check_all_answered(&self, waiting: &BTreeSet<Asker>) {
        let unanswered: Vec<_> = self.askers.iter().filter(|(asker, _)| !waiting.contains(asker)).collect();
        assert!(unanswered.is_empty(), "no verdict has come for {unanswered:?}");
    }
}
