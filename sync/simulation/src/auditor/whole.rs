//! The log and the outcomes as a whole.

use std::collections::{BTreeMap, BTreeSet};

use reapply_sync::{ClientId, Event, Input, Number, Outcome, Rejection, Seq, Snapshot, Timestamp};

use super::{Applied, Auditor, ask};
use crate::history::{Accepted, Conflict, History};
use crate::scenario::{Ask, Scenario};

impl<S: Scenario> Auditor<S> {
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
            // What earlier pages have left may come after a blind page's high numbers.
            if !self.is_of_blind_page(*client, *number) {
                let last = last_number.insert(*client, *number).unwrap_or_default();
                assert!(last < *number, "{client}'s number {number} follows {last} in the log");
            }
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
                Some(Outcome::Decided) if !forgets_reasons => {
                    // A room that has seen a blind page's high number takes the lower ones for decided.
                    let has_blind = self.blind.range((page.0, 0)..=(page.0, u64::MAX)).next().is_some();
                    assert!(is_logged || has_blind, "{page:?} {number} is not in the log");
                }
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
}
