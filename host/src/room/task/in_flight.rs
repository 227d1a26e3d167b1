//! The append that is under way.

use reapply_journal::{Appended, Appending};

/// A batch that is with the journal.
pub(super) struct InFlight {
    pub(super) events: usize,
    pub(super) has_checkpoint: bool,
    pub(super) appending: Appending,
}

/// Returns how the append that is under way ends; never, while there is none.
pub(super) async fn appended(in_flight: &mut Option<InFlight>) -> Appended {
    match in_flight {
        Some(InFlight { appending, .. }) => appending.await,
        None => std::future::pending().await,
    }
}
