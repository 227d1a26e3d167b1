//! The naive bookkeeper that checks everything. It knows only the durable log, and the outcomes that each client was told. It keeps a model for
//! every seq by applying the log in a plain loop.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use reapply_sync::room::{Asker, Verdict};
use reapply_sync::{
    Author, Batch, ClientId, Event, ForgottenClient, Input, Number, Outcome, Rejection, Seq, Snapshot, Timestamp,
};

use crate::build::{DEAD, number_of, plain, sets_alarms};
use crate::coverage::OutcomeCounts;
use crate::history::{Accepted, Conflict, History};
use crate::scenario::{Ask, Scenario};

/// The life of a page: its client, and the number of times that this was loaded before.
pub(crate) type Page = (ClientId, u64);

#[derive(Debug)]
struct Applied {
    transition: Bytes,
    /// The last event that the page knew as confirmed.
    seen: Seq,
    /// The minimum length of the log, as its page knew, whenever the transition was sent.
    sent: Option<Seq>,
    outcome: Option<Outcome>,
}

pub(crate) struct Auditor<S: Scenario> {
    /// The durable events, without the marks of the builds that wrote them.
    log: Vec<Event>,
    build: u8,
    /// The model at each seq, from 0.
    models: Vec<S::Model>,
    /// The events of each client, by its numbers.
    accepted: BTreeMap<ClientId, Vec<(Number, Seq)>>,
    /// The logs that were lost to a restore, each with its models and with the seq to which it was taken back.
    lost: Vec<(Vec<Event>, Vec<S::Model>, Seq)>,
    applied: BTreeMap<(Page, Number), Applied>,
    /// The last event of all clients that the room has ever forgotten.
    forgotten: Option<Seq>,
    /// The participants who have joined in the log, and not left.
    joined: BTreeSet<Author>,
    /// The askers who wait for a verdict on a transition that they submitted without a session.
    askers: BTreeMap<Asker, (ClientId, Number)>,
    askers_made: u64,
    /// The times of the alarms that have failed.
    alarms_failed: BTreeSet<Timestamp>,
    /// Whether the machine broke off when it was asked for an alarm, perhaps that of a state that is with the journal.
    is_alarm_unheard: bool,
    pub(crate) verdicts: u64,
    pub(crate) counts: OutcomeCounts,
}

impl<S: Scenario> Auditor<S> {
    pub(crate) fn new() -> Self {
        let (log, models, applied) = (Vec::new(), vec![S::genesis()], BTreeMap::new());
        Self {
            log,
            build: 0,
            models,
            accepted: BTreeMap::new(),
            lost: Vec::new(),
            applied,
            forgotten: None,
            joined: BTreeSet::new(),
            askers: BTreeMap::new(),
            askers_made: 0,
            alarms_failed: BTreeSet::new(),
            is_alarm_unheard: false,
            verdicts: 0,
            counts: OutcomeCounts::default(),
        }
    }

    /// Returns the number of backups that were restored.
    pub(crate) fn epoch(&self) -> usize {
        self.lost.len()
    }

    /// Notes that a backup was restored: the log ends at `head` again.
    pub(crate) fn note_restored_backup(&mut self, head: Seq) {
        let count = head.0 as usize;
        self.lost.push((self.log.clone(), self.models.clone(), head));
        self.log.truncate(count);
        self.models.truncate(count + 1);
        let upgrades = self.log.iter().rev().filter_map(|event| match event.input {
            Input::Upgraded(digest) => Some(number_of(S::NAME, digest)),
            _ => None,
        });
        self.build = upgrades.take(1).last().unwrap_or(0);
        self.accepted.values_mut().for_each(|events| events.retain(|(_, seq)| *seq <= head));
        self.joined.clear();
        for event in &self.log {
            note_membership(&mut self.joined, &event.input);
        }
        // Having seen events that are lost says nothing about those that take their place.
        self.applied.values_mut().for_each(|applied| applied.seen = applied.seen.min(head));
    }

    /// Notes a batch that is durable now, whether or not the host learns of it.
    pub(crate) fn note_durable(&mut self, batch: &Batch) {
        for event in &batch.events {
            assert_eq!(event.seq.0, self.log.len() as u64 + 1, "the log has a gap or a fork");
            let last_time = self.log.last().map_or(Timestamp(0), |last| last.time);
            assert!(last_time <= event.time, "time went back at {}", event.seq);
            if let Input::Upgraded(digest) = event.input {
                assert_eq!(batch.events.len(), 1, "an upgrade is alone in its batch");
                self.build = number_of(S::NAME, digest);
            }
            let event = plain(event, self.build);
            let model = if event.input.is_for_machine() {
                let why = "was logged, but the model does not take it";
                let model = S::expected(self.newest(), &event);
                model.unwrap_or_else(|no| panic!("event {} {why}: {no}; {:?}", event.seq, what::<S>(&event)))
            } else {
                self.newest().clone()
            };
            note_membership(&mut self.joined, &event.input);
            if let Input::Transition { client, number, .. } = event.input {
                self.accepted.entry(client).or_default().push((number, event.seq));
            }
            self.models.push(model);
            self.log.push(event);
        }
        if self.is_alarm_unheard {
            self.alarms_failed.extend(self.alarm());
        }
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

    /// Notes that the room has forgotten clients, of which one had asked for event `seq`.
    pub(crate) fn note_forgotten(&mut self, seq: Seq) {
        self.forgotten = self.forgotten.max(Some(seq));
    }

    /// Returns whether the room has ever forgotten a client with events.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.forgotten.is_some()
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

    /// Checks an outcome that a room in that epoch tells a page.
    pub(crate) fn note_outcome(&mut self, page: Page, number: Number, outcome: Outcome, epoch: usize) {
        let log = self.lost.get(epoch).map_or(&self.log, |(log, ..)| log);
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
                let is_founded = applied.sent.is_some_and(|sent| Some(sent) < self.forgotten);
                assert!(
                    is_founded,
                    "{page:?} {number} is unknown, and the room cannot have forgotten it: it was sent after {:?}, and {:?} is the last that was",
                    applied.sent, self.forgotten
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

    /// Checks an event that somebody reads from the log in that epoch, under this build. Returns the build after it.
    pub(crate) fn check_read(&self, event: &Event, build: u8, epoch: usize) -> u8 {
        let log = self.lost.get(epoch).map_or(&self.log, |(log, ..)| log);
        let logged = log.get(event.seq.0 as usize - 1).expect("an event was read before it was durable");
        let build = match event.input {
            Input::Upgraded(digest) => number_of(S::NAME, digest),
            _ => build,
        };
        assert_eq!(plain(event, build), *logged, "another event was read than the log has");
        build
    }

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

    /// Checks that a welcome tells a client of each of its events, or that the room may have forgotten that event.
    pub(crate) fn check_welcome(&self, client: ClientId, decided: Number, forgotten: Option<ForgottenClient>) {
        for &(number, seq) in self.accepted.get(&client).into_iter().flatten().filter(|(number, _)| *number > decided) {
            let is_given_up = forgotten.is_some_and(|ForgottenClient { seq: last, known_from, .. }| {
                seq <= last && known_from.is_none_or(|known| number < known)
            });
            assert!(is_given_up, "{client} is not told of its {number}, event {seq}: decided {decided}, {forgotten:?}");
        }
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
            Verdict::Busy => return,
        };
        self.note_repeatable_outcome((client, 0), number, outcome, self.epoch());
    }

    /// Checks that nobody waits for a verdict in a room that sleeps, or at the end. The askers in `waiting` have not been handed in.
    pub(crate) fn check_all_answered(&self, waiting: &BTreeSet<Asker>) {
        let unanswered: Vec<_> = self.askers.iter().filter(|(asker, _)| !waiting.contains(asker)).collect();
        assert!(unanswered.is_empty(), "no verdict has come for {unanswered:?}");
    }

    /// Returns the participants who have joined in the log, and not left.
    pub(crate) fn joined(&self) -> &BTreeSet<Author> {
        &self.joined
    }

    /// Notes that the operator was told of the failed alarm of this time.
    pub(crate) fn note_alarm_failed(&mut self, at: Timestamp) {
        self.alarms_failed.insert(at);
    }

    /// Notes that the operator was told that the machine broke off when it was asked for an alarm. That alarm counts as failed.
    pub(crate) fn note_alarm_faulted(&mut self) {
        self.is_alarm_unheard = true;
        self.alarms_failed.extend(self.alarm());
    }

    /// Notes that no batch is on its way to the journal.
    pub(crate) fn note_settled(&mut self) {
        self.is_alarm_unheard = false;
    }

    /// Checks the journal's note of when to wake the room at the log's head; `None` if it need not be woken.
    pub(crate) fn check_alarm(&self, noted: Option<Timestamp>) {
        let due = self.alarm();
        let is_right = noted == due || noted.is_none() && self.is_alarm_settled(due);
        assert!(is_right, "the alarm is due at {due:?}, and noted for {noted:?}");
    }

    fn alarm(&self) -> Option<Timestamp> {
        S::alarm(self.newest()).filter(|_| sets_alarms(self.build))
    }

    /// Returns whether no alarm must be waited for at the end: there is none, or it has failed.
    pub(crate) fn is_alarm_settled(&self, at: Option<Timestamp>) -> bool {
        at.is_none_or(|at| self.alarms_failed.contains(&at))
    }

    /// Returns the model at `seq` in the log of that epoch. The confirmed state of a replica there must hold only durable events.
    pub(crate) fn model(&self, seq: Seq, epoch: usize) -> &S::Model {
        let models = self.lost.get(epoch).map_or(&self.models, |(_, models, _)| models);
        models.get(seq.0 as usize).expect("a replica is ahead of the durable log")
    }

    /// Returns the number of a page's transitions without an outcome.
    pub(crate) fn undecided(&self, page: Page) -> usize {
        let of_page = self.applied.range((page, Number(0))..=(page, Number(u64::MAX)));
        of_page.filter(|(_, applied)| applied.outcome.is_none()).count()
    }

    pub(crate) fn head(&self) -> Seq {
        Seq(self.log.len() as u64)
    }

    pub(crate) fn models(&self) -> &[S::Model] {
        &self.models
    }

    pub(crate) fn newest(&self) -> &S::Model {
        &self.models[self.log.len()]
    }

    pub(crate) fn alarms(&self) -> u64 {
        self.log.iter().filter(|event| matches!(event.input, Input::Alarm(_))).count() as u64
    }

    pub(crate) fn upgrades(&self) -> u64 {
        self.log.iter().filter(|event| matches!(event.input, Input::Upgraded(_))).count() as u64
    }

    pub(crate) fn left(&self) -> u64 {
        self.log.iter().filter(|event| matches!(event.input, Input::Left(_))).count() as u64
    }

    /// Returns the outcomes of the transitions, with the last event that each author knew.
    pub(crate) fn history(&self) -> History<S::What> {
        let seen: BTreeMap<u64, Seq> =
            self.applied.values().map(|applied| (ask::<S>(&applied.transition).nonce, applied.seen)).collect();
        let accepted = |event: &Event| {
            let Input::Transition { client, transition, .. } = &event.input else { return None };
            let Ask { nonce, what } = ask::<S>(transition);
            let seen = *seen.get(&nonce).expect("the log holds what nobody asked for");
            Some(Accepted { seq: event.seq, client: *client, seen, what })
        };
        let conflict = |applied: &Applied| {
            let Some(Outcome::Rejected(Rejection::Conflict(conflict))) = &applied.outcome else { return None };
            Some(Conflict { what: ask::<S>(&applied.transition).what, conflict: conflict.clone() })
        };
        History {
            accepted: self.log.iter().filter_map(accepted).collect(),
            conflicts: self.applied.values().filter_map(conflict).collect(),
        }
    }

    /// Checks a room's records of its clients at a seq. They must match the log, and a missing client must have been forgotten.
    pub(crate) fn check_clients(&self, snapshot: &Snapshot) {
        let mut last: BTreeMap<ClientId, (Number, Seq, Timestamp)> = BTreeMap::new();
        for event in &self.log[..snapshot.seq.0 as usize] {
            if let Input::Transition { client, number, .. } = event.input {
                last.insert(client, (number, event.seq, event.time));
            }
        }
        for known in &snapshot.clients {
            let logged = last.remove(&known.client);
            assert_eq!(logged, Some((known.number, known.seq, known.time)), "{} is remembered otherwise", known.client);
            assert!(known.known_from <= known.number, "{} is known from beyond its last number", known.client);
            let is_all_known = known.known_from == Number::FIRST;
            assert!(is_all_known || snapshot.forgotten.is_some(), "{} is known in part", known.client);
        }
        for (client, (number, seq, _)) in last {
            let is_forgotten =
                snapshot.forgotten.is_some_and(|forgotten| seq <= forgotten.seq && number <= forgotten.number);
            assert!(
                client.is_keyless() || is_forgotten,
                "{client} is missing at {}, and was not forgotten",
                snapshot.seq
            );
        }
    }

    /// Checks the conditions on the log as a whole. `forgets_reasons` says that the room may have forgotten rejections.
    pub(crate) fn check_log(&self, forgets_reasons: bool) {
        let mut last_number: BTreeMap<ClientId, Number> = BTreeMap::new();
        let mut logged = BTreeSet::new();
        for event in &self.log {
            let Input::Transition { client, number, transition, .. } = &event.input else { continue };
            let last = last_number.insert(*client, *number).unwrap_or_default();
            assert!(last < *number, "{client}'s number {number} follows {last} in the log");
            assert!(logged.insert(ask::<S>(transition).nonce), "event {} doubles an earlier one", event.seq);
        }
        let lost = self.lost.iter().flat_map(|(log, ..)| log).filter_map(|event| match &event.input {
            Input::Transition { transition, .. } => Some(ask::<S>(transition).nonce),
            _ => None,
        });
        let lost: BTreeSet<u64> = lost.collect();
        for ((page, number), applied) in &self.applied {
            let was_logged = lost.contains(&ask::<S>(&applied.transition).nonce);
            // A transition has more than one number if a page could not keep the first, and did not use it.
            let is_logged = logged.contains(&ask::<S>(&applied.transition).nonce);
            match &applied.outcome {
                // A host forgets rejections only with its process. While the process lives, a client hears the exact outcome.
                Some(Outcome::Rejected(Rejection::Forgotten)) if !forgets_reasons => {
                    panic!("{page:?} {number} forgotten")
                }
                Some(Outcome::Decided) if !forgets_reasons => assert!(is_logged, "{page:?} {number} is not in the log"),
                Some(Outcome::Rejected(why)) => assert!(!is_logged, "{page:?} {number} is in the log, but: {why}"),
                Some(Outcome::Accepted { .. }) => {
                    assert!(is_logged || was_logged, "{page:?} {number} was accepted, and is lost");
                }
                Some(Outcome::Decided | Outcome::Unknown) | None => {}
            }
        }
        for applied in self.applied.values() {
            logged.remove(&ask::<S>(&applied.transition).nonce);
        }
        assert!(logged.is_empty(), "the log holds what nobody asked for: {logged:?}");
    }
}

fn note_membership(joined: &mut BTreeSet<Author>, input: &Input) {
    match input {
        Input::Joined(author) => drop(joined.insert(author.clone())),
        Input::Left(author) => drop(joined.remove(author)),
        _ => {}
    }
}

fn ask<S: Scenario>(transition: &[u8]) -> Ask<S::What> {
    Ask::decode(transition).expect("the log holds only transitions")
}

/// Returns the content of an event's transition, to be shown.
fn what<S: Scenario>(event: &Event) -> Option<S::What> {
    let Input::Transition { transition, .. } = &event.input else { return None };
    Ask::decode(transition).ok().map(|ask| ask.what)
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
