//! Counts a room's rejections, by author and kind, until they go to the journal.
//!
//! Rejections leave no trace in the log, but their authors and kinds are worth knowing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reapply_journal::RejectionCount;
use reapply_sync::{Author, Timestamp};

use super::limits::TALLY_COUNTS_MAX;

/// The name under which the rejections of further authors are counted.
const OTHERS: &str = "(others)";

/// The rejections since the last report to the journal. Shared by the room's task, and by others who reject on its behalf.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

/// The count and the last time, by author and kind.
type Counts = BTreeMap<(Author, String), (u64, Timestamp)>;

impl Tally {
    /// Counts one rejection.
    pub(super) fn count(&self, author: &Author, kind: &str, now: Timestamp) {
        let count = RejectionCount { author: author.clone(), kind: kind.to_owned(), count: 1, last: now };
        add(&mut self.lock(), count);
    }

    /// Takes the counts, for the journal.
    pub(super) fn take(&self) -> Vec<RejectionCount> {
        let counts = std::mem::take(&mut *self.lock());
        let counts = counts.into_iter();
        counts.map(|((author, kind), (count, last))| RejectionCount { author, kind, count, last }).collect()
    }

    /// Takes back counts that did not reach the journal.
    pub(super) fn take_back(&self, counts: Vec<RejectionCount>) {
        let mut held = self.lock();
        counts.into_iter().for_each(|count| add(&mut held, count));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(counts: &mut Counts, RejectionCount { author, kind, count, last }: RejectionCount) {
    let mut key = (author, kind);
    // Anyone may use as many names as they like. There are few kinds, so the others need little more.
    if counts.len() >= TALLY_COUNTS_MAX && !counts.contains_key(&key) {
        key.0 = Author(OTHERS.into());
    }
    let (sum, newest) = counts.entry(key).or_default();
    *sum = sum.saturating_add(count);
    *newest = last.max(*newest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_by_author_and_kind() {
        let tally = Tally::default();
        let ann = Author("ann".into());
        tally.count(&ann, "conflict", Timestamp(1));
        tally.count(&ann, "conflict", Timestamp(5));
        tally.count(&ann, "too-large", Timestamp(3));
        let counts = tally.take();
        assert!(tally.is_empty());
        let of = |kind: &str, count, last| RejectionCount { author: ann.clone(), kind: kind.into(), count, last };
        assert_eq!(counts, [of("conflict", 2, Timestamp(5)), of("too-large", 1, Timestamp(3))]);
        tally.count(&ann, "conflict", Timestamp(2));
        tally.take_back(counts);
        assert_eq!(tally.take()[0], of("conflict", 3, Timestamp(5)));
    }

    #[test]
    fn those_beyond_the_limit_are_counted_together() {
        let tally = Tally::default();
        for index in 0..TALLY_COUNTS_MAX + 10 {
            tally.count(&Author(index.to_string().into()), "conflict", Timestamp(1));
        }
        let counts = tally.take();
        assert_eq!(counts.len(), TALLY_COUNTS_MAX + 1);
        assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), TALLY_COUNTS_MAX as u64 + 10);
        let others = counts.iter().find(|count| &*count.author.0 == OTHERS);
        assert_eq!(others.map(|count| count.count), Some(10));
    }
}
