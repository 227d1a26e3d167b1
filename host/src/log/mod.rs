//! Logs, and how they are read and replayed.
//!
//! ```text
//!  Starts ──nearest snapshot, or the genesis──▶ LogReader ──proved batches──▶ every reader of a log:
//!                                                                            waking, the past, trims, the gate, exports, forks, pages
//! ```
//!
//! The past, trims and the gate apply what they read with `go_through`, a portion at a time on the threads that run machines.

pub mod limits;
mod portions;
mod reader;
mod starts;

use std::sync::Arc;

use reapply_journal::Journal;
use reapply_machine::Engine;
use tokio::sync::Semaphore;

use self::limits::PASTS_AT_ONCE;
use crate::machines::Machines;

pub(crate) use portions::{LogStep, go_through};
pub use reader::{LogError, LogReader};
pub(crate) use starts::Starts;

/// The logs of all rooms, and the builds that they name. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    /// The journal that keeps the logs.
    pub journal: Arc<dyn Journal>,
    /// The builds that the logs name.
    pub machines: Machines,
    /// Places for those who rebuild past states.
    pub(crate) pasts: Arc<Semaphore>,
}

impl Logs {
    /// Returns the logs that `journal` keeps. Their machines run on `engine`.
    #[must_use]
    pub fn new(engine: Engine, journal: Arc<dyn Journal>) -> Self {
        let pasts = Arc::new(Semaphore::new(PASTS_AT_ONCE));
        Self { machines: Machines::new(engine, Arc::clone(&journal)), journal, pasts }
    }
}
