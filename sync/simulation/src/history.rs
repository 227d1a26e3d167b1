//! What became of a run's transitions.

use reapply_sync::{ClientId, Seq};

/// What was decided of all that was asked for.
#[derive(Clone, Debug)]
pub struct History<W> {
    /// What the log holds, in its order.
    pub accepted: Vec<Accepted<W>>,
    /// What conflicted, as far as its clients were told, in no order.
    pub conflicts: Vec<Conflict<W>>,
}

/// An accepted transition in its place in the log.
#[derive(Clone, Debug)]
pub struct Accepted<W> {
    /// Its place.
    pub seq: Seq,
    /// The client that asked for it.
    pub client: ClientId,
    /// The last event that its client knew as confirmed when it asked.
    pub seen: Seq,
    /// What it asked for.
    pub what: W,
}

/// A transition that its client believed would do, and that came too late.
#[derive(Clone, Debug)]
pub struct Conflict<W> {
    /// What it asked for.
    pub what: W,
    /// The machine's words.
    pub conflict: String,
}

impl<W> History<W> {
    /// What concerns one part of a machine. A conflict keeps the words of the whole.
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

    /// How many conflicts there are of a certain kind: what was asked for, and the machine's words.
    pub fn count_conflicts(&self, is_meant: impl Fn(&W, &str) -> bool) -> u64 {
        self.conflicts.iter().filter(|conflict| is_meant(&conflict.what, &conflict.conflict)).count() as u64
    }

    /// How many pairs there are of an accepted transition and a later one of somebody who did not know of it, of a certain kind.
    pub fn blind_pairs(&self, is_meant: impl Fn(&W, &W) -> bool) -> u64 {
        let blind = |later: &Accepted<W>| {
            let earlier = self.accepted.iter().filter(|earlier| later.is_blind_to(earlier));
            earlier.filter(|earlier| is_meant(&earlier.what, &later.what)).count() as u64
        };
        self.accepted.iter().map(blind).sum()
    }
}

impl<W> Accepted<W> {
    /// Whether this one was decided after `earlier`, which somebody else had asked for and its client did not know: two people at once.
    fn is_blind_to(&self, earlier: &Self) -> bool {
        self.client != earlier.client && self.seen < earlier.seq && earlier.seq < self.seq
    }
}
