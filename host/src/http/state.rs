//! State that the handlers share.

use std::path::Path;
use std::sync::Arc;

use axum::extract::FromRef;
use tokio::sync::Semaphore;

use super::body::Bodies;
use super::guard::Guard;
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
    /// Has them run other builds.
    pub upgrades: Upgrades,
    /// Who may administer, and which pages may use the host.
    pub guard: Arc<Guard>,
    /// Transitions that one session may submit in a second; it is read no faster than that.
    pub submits_per_second_max: u32,
    /// The request bodies that are under way.
    pub bodies: Bodies,
    /// A permit for each session that the host may have.
    pub sessions: Arc<Semaphore>,
    /// A permit for each import, fork and backup that may be under way.
    pub archives: Arc<Semaphore>,
    /// A permit for each export that may be under way. Anyone may ask for one, and read it slowly, so they stand in nobody else's way.
    pub exports: Arc<Semaphore>,
    /// Where files are made that are sent and removed.
    pub scratch: Arc<Path>,
    /// A permit for each log that may be followed.
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
