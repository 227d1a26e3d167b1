//! The outcomes that pages are told. Each transition has one, and the log agrees with it.

use bytes::Bytes;
use reapply_sync::{Author, ClientId, Event, Input, Number, Outcome, Rejection, Seq, Timestamp};

use super::{Applied, Auditor, Page};
use crate::build::DEAD;
use crate::scenario::Scenario;

impl<S: Scenario> Auditor<S> {
    /// Notes that a page cannot know the numbers of earlier ones, and so begins far above them.
    pub(crate) fn note_blind(&mut self, page: Page) {
        self.blind.insert(page);
    }

    /// Returns whether a blind page has used this number of its client.
    pub(super) fn is_of_blind_page(&self, client: ClientId, number: Number) -> bool {
        let pages = self.blind.range((client, 0)..=(client, u64::MAX));
        pages.into_iter().any(|page| self.applied.contains_key(&(*page, number)))
    }

    /// Notes a transition that a page applied when it had seen `seen` in the log of that epoch.
    pub(crate) fn note_applied(&mut self, page: Page, number: Number, transition: Bytes, seen: Seq, epoch: usize) {
        let seen = self.lost[epoch..].iter().fold(seen, |seen, (_, _, head)| seen.min(*head));
        let former = self.applied.insert((page, number), Applied { transition, seen, sent: None, outcome: None });
        assert!(former.is_none(), "number {number} was used twice");
    }

    /// Notes that a page sends a transition. The log has come to `head` at least, as the page knows.
    pub(crate) fn note_sent(&mut self, page: Page, number: Number, head: Seq) {
        let applied = self.applied.get_mut(&(page, number)).expect("what is sent was applied");
        applied.sent = Some(applied.sent.map_or(head, |sent| sent.min(head)));
    }

    /// Returns whether a page has used this number.
    pub(crate) fn knows(&self, page: Page, number: Number) -> bool {
        self.applied.contains_key(&(page, number))
    }

    /// Returns the length of the log when that number was sent.
    pub(crate) fn sent(&self, page: Page, number: Number) -> Option<Seq> {
        self.applied.get(&(page, number))?.sent
    }

    /// Moves a transition from an earlier page of a client to this one, whose queue now holds it. If the earlier page could not remove it, it
    /// already has an outcome, and gets another.
    pub(crate) fn note_restored(&mut self, page: Page, number: Number, transition: &Bytes) {
        let earlier = self
            .applied
            .keys()
            .rev()
            .find(|((client, life), used)| (client, used) == (&page.0, &number) && *life < page.1);
        let earlier = *earlier.expect("the queue holds what was never applied");
        let applied = self.applied.remove(&earlier).expect("it was found");
        assert_eq!(applied.transition, *transition, "number {number} names two transitions");
        self.applied.insert((page, number), Applied { outcome: None, ..applied });
    }

    /// Notes that a page's queue holds a transition without a number. An earlier page may have taken it on, and rejected it before the room had it,
    /// and could write neither; then it gets another outcome.
    pub(crate) fn note_unnumbered(&mut self, page: Page, transition: &Bytes) {
        self.applied.retain(|((client, life), _), applied| {
            let is_earlier = (*client, &applied.transition) == (page.0, transition) && *life < page.1;
            !(is_earlier && matches!(applied.outcome, Some(Outcome::Rejected(_))))
        });
    }

    /// Checks an outcome that a room in that epoch tells a page.
    pub(crate) fn note_outcome(&mut self, page: Page, number: Number, outcome: Outcome, epoch: usize) {
        let log = self.lost.get(epoch).map_or(&self.log, |(log, ..)| log);
        // A transition was first sent before all later ones of its client.
        let later = self.applied.range((page, number)..=(page, Number(u64::MAX)));
        let sent = later.filter_map(|(_, applied)| applied.sent).min();
        let applied = self.applied.get_mut(&(page, number)).expect("an outcome of nothing");
        assert!(applied.outcome.is_none(), "number {number} has two outcomes: {:?} and {outcome:?}", applied.outcome);
        match &outcome {
            Outcome::Accepted { seq, time } => {
                self.counts.accepted += 1;
                let event = log.get(seq.0 as usize - 1).expect("accepted before it was durable");
                let Input::Transition { client, number: logged, transition, .. } = &event.input else {
                    panic!("event {seq} is not a transition")
                };
                assert_eq!((client, logged, transition, event.time), (&page.0, &number, &applied.transition, *time));
            }
            Outcome::Rejected(Rejection::Forgotten) => self.counts.forgotten += 1,
            Outcome::Rejected(why) => {
                match why {
                    Rejection::Conflict(_) => self.counts.conflicts += 1,
                    _ => self.counts.faulted += 1,
                }
                let models = self.lost.iter().map(|(_, models, _)| models).chain([&self.models]);
                let models = models.flatten().collect::<Vec<_>>().into_iter().rev();
                let is_founded = is_of_codec(why) || has_been::<S>(models, page, number, &applied.transition, why);
                assert!(is_founded, "no durable state gives this rejection: {why}");
            }
            Outcome::Decided => self.counts.decided += 1,
            Outcome::Unknown => {
                self.counts.unknown += 1;
                let is_founded = applied.sent.is_some() && sent < self.forgotten;
                assert!(
                    is_founded,
                    "{page:?} {number} is unknown, and the room cannot have forgotten it: it was sent after {:?}, and {:?} is the last that was",
                    sent, self.forgotten
                );
            }
        }
        applied.outcome = Some(outcome);
    }

    /// Checks an outcome that may be told again, as long as it is the same, or the reason is forgotten by then. A transition that was nonsense
    /// must be rejected.
    pub(crate) fn note_repeatable_outcome(&mut self, page: Page, number: Number, outcome: Outcome, epoch: usize) {
        match self.applied.get(&(page, number)).map(|applied| &applied.outcome) {
            Some(None) => self.note_outcome(page, number, outcome, epoch),
            Some(Some(Outcome::Rejected(_))) if outcome == Outcome::Rejected(Rejection::Forgotten) => {}
            Some(Some(former)) => assert_eq!(*former, outcome, "{page:?} {number} has two verdicts"),
            None => {
                let is_nonsense = matches!(outcome, Outcome::Rejected(Rejection::Malformed(_) | Rejection::Forgotten));
                assert!(is_nonsense, "{outcome:?} for nonsense");
            }
        }
    }

    /// Returns the number of a page's transitions without an outcome.
    pub(crate) fn undecided(&self, page: Page) -> usize {
        let of_page = self.applied.range((page, Number(0))..=(page, Number(u64::MAX)));
        of_page.filter(|(_, applied)| applied.outcome.is_none()).count()
    }
}

/// Returns whether a page gave a transition up by itself: another build has no such transition, or its machine broke off on it.
fn is_of_codec(why: &Rejection) -> bool {
    match why {
        Rejection::Malformed(why) => why.starts_with("this build "),
        Rejection::Trapped(why) => why.ends_with("in Codec.") || why == DEAD,
        _ => false,
    }
}

/// Returns whether some durable state answers `transition` with this rejection. A verdict must not depend on a state that was never durable.
fn has_been<'a, S: Scenario<Model: 'a>>(
    mut models: impl Iterator<Item = &'a S::Model>,
    (client, _): Page,
    number: Number,
    transition: &Bytes,
    why: &Rejection,
) -> bool {
    let (author, transition) = (Author("anyone".into()), transition.clone());
    let input = Input::Transition { author, client, number, transition };
    let event = Event { seq: Seq(0), time: Timestamp(0), entropy: 0, input };
    models.any(|model| S::expected(model, &event).is_err_and(|error| Rejection::from(error) == *why))
}
