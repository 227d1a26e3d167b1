//! State that the handlers share.

use std::path::Path;
use std::sync::Arc;

use axum::extract::FromRef;
use tokio::sync::Semaphore;

use super::body::Bodies;
use super::guard::Guard;
use super::kept::KeptFiles;
use crate::log::Logs;
use crate::room::Rooms;
use crate::upgrade::Upgrades;

/// Everything that a handler may need. Cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    /// The journal, and the machines.
    pub logs: Logs,
    /// The rooms that have these logs.
    pub rooms: Rooms,
    /// The upgrades of these rooms.
    pub upgrades: Upgrades,
    /// The rules on administration, and on pages that may use the host.
    pub guard: Arc<Guard>,
    /// Maximum number of transitions that one session may submit in a second. A faster session is read more slowly.
    pub submits_per_second_max: u32,
    /// The memory for request bodies.
    pub bodies: Bodies,
    /// The components in the form in which they are sent.
    pub components: KeptFiles,
    /// A permit for each session that the host may have.
    pub sessions: Arc<Semaphore>,
    /// A permit for each import, fork and backup that may run at once.
    pub archives: Arc<Semaphore>,
    /// A permit for each export that may run at once. Anyone may ask for an export and read it slowly, so exports have permits of their own.
    pub exports: Arc<Semaphore>,
    /// The folder of temporary files.
    pub scratch: Arc<Path>,
    /// A permit for each request that may follow a log at once.
    pub followers: Arc<Semaphore>,
}

impl FromRef<HttpState> for Arc<Guard> {
    fn from_ref(state: &HttpState) -> Self {
        Arc::clone(&state.guard)
    }
}

impl FromRef<HttpState> for Bodies {
    fn from_ref(state: &HttpState) -> Self {
        state.bodies.clone()
    }
}
