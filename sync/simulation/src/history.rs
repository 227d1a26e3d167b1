//! The outcomes of a run's transitions.

use reapply_sync::{ClientId, Seq};

/// The decisions on all submitted transitions.
#[derive(Clone, Debug)]
pub struct History<W> {
    /// The accepted transitions, in the order of the log.
    pub accepted: Vec<Accepted<W>>,
    /// The conflicts, as far as clients were told of them, in no order.
    pub conflicts: Vec<Conflict<W>>,
}

/// An accepted transition in its place in the log.
#[derive(Clone, Debug)]
pub struct Accepted<W> {
    /// The seq.
    pub seq: Seq,
    /// The client that sent it.
    pub client: ClientId,
    /// The last event that its client knew as confirmed when it sent the transition.
    pub seen: Seq,
    /// The transition.
    pub what: W,
}

/// A transition that its client expected to apply, and that came too late.
#[derive(Clone, Debug)]
pub struct Conflict<W> {
    /// The transition.
    pub what: W,
    /// The machine's conflict.
    pub conflict: String,
}

impl<W> History<W> {
    /// Returns the history of one part of a machine. A conflict keeps the words of the whole.
    pub fn part<V>(&self, part: impl Fn(&W) -> Option<V>) -> History<V> {
        let accepted = |Accepted { seq, client, seen, what }: &Accepted<W>| {
            Some(Accepted { seq: *seq, client: *client, seen: *seen, what: part(what)? })
        };
        let conflict = |Conflict { what, conflict }: &Conflict<W>| {
            Some(Conflict { what: part(what)?, conflict: conflict.clone() })
        };
        History {
            accepted: self.accepted.iter().filter_map(accepted).collect(),
            conflicts: self.conflicts.iter().filter_map(conflict).collect(),
        }
    }

    /// Returns the number of conflicts of a certain kind, by the transition and the machine's conflict.
    pub fn count_conflicts(&self, is_meant: impl Fn(&W, &str) -> bool) -> u64 {
        self.conflicts.iter().filter(|conflict| is_meant(&conflict.what, &conflict.conflict)).count() as u64
    }

    /// Returns the number of pairs of a certain kind: an accepted transition, and a later one of another client who did not know of it.
    pub fn blind_pairs(&self, is_meant: impl Fn(&W, &W) -> bool) -> u64 {
        let blind = |later: &Accepted<W>| {
            let earlier = self.accepted.iter().filter(|earlier| later.is_blind_to(earlier));
            earlier.filter(|earlier| is_meant(&earlier.what, &later.what)).count() as u64
        };
        self.accepted.iter().map(blind).sum()
    }
}

impl<W> Accepted<W> {
    /// Returns whether this was decided after `earlier`, which another client had sent and its own client did not know: two people at once.
    fn is_blind_to(&self, earlier: &Self) -> bool {
        self.client != earlier.client && self.seen < earlier.seq && earlier.seq < self.seq
    }
}
