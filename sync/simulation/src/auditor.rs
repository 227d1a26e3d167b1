//! The naive bookkeeper that checks everything. It knows only the durable log, and the outcomes that each client was told. It keeps a model for
//! every seq by applying the log in a plain loop.

mod alarms;
mod askers;
mod outcomes;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use reapply_sync::room::Asker;
use reapply_sync::{Author, Batch, ClientId, Event, ForgottenClient, Input, Number, Outcome, Seq, Timestamp};

use crate::build::{number_of, plain};
use crate::coverage::OutcomeCounts;
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
    /// The pages that could not know which numbers earlier pages of their clients had used.
    blind: BTreeSet<Page>,
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
            blind: BTreeSet::new(),
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

    /// Notes that the room has forgotten clients, of which one had asked for event `seq`.
    pub(crate) fn note_forgotten(&mut self, seq: Seq) {
        self.forgotten = self.forgotten.max(Some(seq));
    }

    /// Returns whether the room has ever forgotten a client with events.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.forgotten.is_some()
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

    /// Checks that a welcome tells a client of each of its events, or that the room may have forgotten that event.
    pub(crate) fn check_welcome(&self, client: ClientId, decided: Number, forgotten: Option<ForgottenClient>) {
        for &(number, seq) in self.accepted.get(&client).into_iter().flatten().filter(|(number, _)| *number > decided) {
            // No later page knows of it.
            if self.is_of_blind_page(client, number) {
                continue;
            }
            let is_given_up = forgotten.is_some_and(|ForgottenClient { seq: last, known_from, .. }| {
                seq <= last && known_from.is_none_or(|known| number < known)
            });
            assert!(is_given_up, "{client} is not told of its {number}, event {seq}: decided {decided}, {forgotten:?}");
        }
    }

    /// Returns the participants who have joined in the log, and not left.
    pub(crate) fn joined(&self) -> &BTreeSet<Author> {
        &self.joined
    }

    /// Returns the model at `seq` in the log of that epoch. The confirmed state of a replica there must hold only durable events.
    pub(crate) fn model(&self, seq: Seq, epoch: usize) -> &S::Model {
        let models = self.lost.get(epoch).map_or(&self.models, |(_, models, _)| models);
        models.get(seq.0 as usize).expect("a replica is ahead of the durable log")
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
