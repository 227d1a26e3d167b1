//! The trial of a snapshot: checks that its build restores it, in an instance of its own.
//!
//! A trial costs one restore for each snapshot that is stored, on a thread of the pool. The room continues meanwhile.

use std::pin::Pin;
use std::sync::Arc;

use reapply_sync::{Machine, Seq, Snapshot};

use crate::machines::{Machines, MachinesError};
use reapply_machine::{Lane, Stack};

/// The trial that is under way.
pub(super) struct Trial {
    pub(super) seq: Seq,
    tried: Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
}

impl Trial {
    /// Starts the trial of a snapshot. If the trial is dropped, it does not begin, or its outcome is ignored.
    pub(super) fn new(machines: Machines, snapshot: Arc<Snapshot>) -> Self {
        Self { seq: snapshot.seq, tried: Box::pin(restore(machines, snapshot)) }
    }
}

/// Waits for the trial that is under way, and returns its outcome. Waits forever if there is none.
pub(super) async fn tried(trial: &mut Option<Trial>) -> Result<(), String> {
    match trial {
        Some(Trial { tried, .. }) => tried.await,
        None => std::future::pending().await,
    }
}

/// Restores a snapshot as a replay would.
async fn restore(machines: Machines, snapshot: Arc<Snapshot>) -> Result<(), String> {
    let build = machines.build(snapshot.digest).await.map_err(|error| error.to_string())?;
    let build = build.ok_or_else(|| MachinesError::NotStored(snapshot.digest).to_string())?;
    let restore = move || {
        let mut machine = build.instantiate_with(Stack::Replaying).map_err(|fault| fault.to_string())?;
        let restored = machine.restore(&snapshot.state, snapshot.state_version);
        restored.map(drop).map_err(|error| error.to_string())
    };
    machines.pool().run(Lane::Trial, restore).await
}
