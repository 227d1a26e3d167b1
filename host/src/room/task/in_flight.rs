//! The append that is under way.

use reapply_journal::{Appended, Appending};

/// A batch that the journal is storing.
pub(super) struct InFlight {
    pub(super) events: usize,
    pub(super) has_checkpoint: bool,
    pub(super) appending: Appending,
}

/// Waits for the append that is under way, and returns its outcome. Waits forever if there is none.
pub(super) async fn appended(in_flight: &mut Option<InFlight>) -> Appended {
    match in_flight {
        Some(InFlight { appending, .. }) => appending.await,
        None => std::future::pending().await,
    }
}
