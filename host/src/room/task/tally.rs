//! Passes the counts of rejections to the journal: at intervals, before the room sleeps, and on request.

use std::sync::Arc;
use std::time::Instant;

use reapply_sync::Rejected;
use tokio::sync::oneshot;
use tracing::warn;

use super::Task;
use crate::clock;
use crate::room::limits::TALLY_INTERVAL;

impl Task {
    /// Counts a rejection, the first time that it is reported.
    pub(super) fn count(&mut self, rejected: &Rejected) {
        if !rejected.is_repeated {
            self.tally.count(&rejected.author, rejected.why.kind(), clock::now());
        }
    }

    /// Ensures that the counts are passed on in time.
    pub(super) fn schedule_tally(&mut self) {
        if self.tally_due.is_none() && !self.tally.is_empty() {
            self.tally_due = Some(Instant::now() + TALLY_INTERVAL);
        }
    }

    /// Passes the counts to the journal, if it is time.
    pub(super) fn tell_tally_if_due(&mut self) {
        if self.tally_due.is_some_and(|due| due <= Instant::now()) {
            self.tell_tally(None);
        }
    }

    /// Passes the counts to the journal, and notifies `told` when that is done.
    pub(super) fn tell_tally(&mut self, told: Option<oneshot::Sender<()>>) {
        self.tally_due = None;
        let (journal, id, tally) = (Arc::clone(&self.context.journal), self.id.clone(), Arc::clone(&self.tally));
        let counts = tally.take();
        tokio::spawn(async move {
            if !counts.is_empty()
                && let Err(why) = journal.count_rejections(&id, counts.clone()).await
            {
                warn!(room = %id, %why, "counts of rejections were not stored; they are kept for the next time");
                tally.take_back(counts);
            }
            told.map(|told| told.send(()));
        });
    }

    /// Passes the counts to the journal, before the room sleeps.
    pub(super) async fn tell_tally_for_sleep(&mut self) {
        let counts = self.tally.take();
        if !counts.is_empty()
            && let Err(why) = self.context.journal.count_rejections(&self.id, counts).await
        {
            warn!(room = %self.id, %why, "counts of rejections were not stored");
        }
    }
}
