//! A tab, and one of its pages.

use reapply_client_core::{Arrival, Ask, ConnectionId, Driver, TabKey};
use reapply_sync::{ClientKey, Machine, Seq};

use super::signal_book::Heard;
use crate::build::Build;
use crate::faults::Faults;

/// A tab of a browser: its pages come one after the other.
pub(super) struct Tab {
    pub(super) browser: usize,
    /// The key that the tab's pages keep in its own storage.
    pub(super) kept_key: Option<ClientKey>,
    /// The key that the tab's application has chosen.
    pub(super) given: Option<ClientKey>,
    /// The tab's page; `None` before the first.
    pub(super) page: Option<usize>,
}

/// A page, with the shell of its driver.
pub(super) struct Page<M: Machine> {
    pub(super) tab: usize,
    /// The page's driver; `None` while the page seeks an orphan, and once the page is gone.
    pub(super) driver: Option<Driver<Build<M>>>,
    pub(super) arrival: Option<Arrival>,
    pub(super) tab_key: Option<TabKey>,
    pub(super) ask: Option<Ask>,
    /// The page's client: its key, whether an application has chosen that, and the number of pages that were this client before.
    pub(super) client: Option<(ClientKey, bool, u64)>,
    /// The number of restored backups when the room last told this page where it stands.
    pub(super) epoch: usize,
    /// The seq of the page's confirmed state when that was last looked at.
    pub(super) confirmed: Option<Seq>,
    pub(super) opening: Option<ConnectionId>,
    pub(super) connection: Option<(ConnectionId, usize)>,
    pub(super) timer_at: Option<u64>,
    /// The page for which this one is a courier.
    pub(super) courier_of: Option<usize>,
    /// Whether another page took the client over before this one became it.
    pub(super) is_lost: bool,
    pub(super) is_store_silent: bool,
    pub(super) has_failed_write: bool,
    pub(super) is_corrupted: bool,
    pub(super) heard: Heard,
    /// The faults of the page's machines.
    pub(super) faults: Faults,
    /// Whether the page's machine has broken off in `apply` since its divergences were last reported.
    pub(super) has_applied_badly: bool,
}
