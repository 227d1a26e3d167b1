//! The trial of a snapshot: whether its build restores it, found out in an instance of its own, away from the room.
//!
//! A trial costs one restore for each snapshot that is stored, on threads of the pool that do nothing else. The room goes on meanwhile.

use std::pin::Pin;
use std::sync::Arc;

use reapply_machine::{Build, Lane, MachinePool, Stack};
use reapply_sync::{Machine, RoomId, Seq, Snapshot, Tried};
use tracing::warn;

/// The trial that is under way.
pub(super) struct Trial {
    pub(super) seq: Seq,
    tried: Pin<Box<dyn Future<Output = Tried> + Send>>,
}

impl Trial {
    /// Returns the trial of a snapshot in an instance of the build that the room runs. A trial that is dropped does not begin, or nobody is told
    /// its outcome.
    pub(super) fn new(id: RoomId, build: Build, pool: MachinePool, snapshot: Arc<Snapshot>) -> Self {
        let seq = snapshot.seq;
        let tried = async move { pool.run(Lane::Trial, move || restore(&id, &build, &snapshot)).await };
        Self { seq, tried: Box::pin(tried) }
    }
}

/// Returns the outcome of the trial that is under way. Waits forever if there is none.
pub(super) async fn tried(trial: &mut Option<Trial>) -> Tried {
    match trial {
        Some(Trial { tried, .. }) => tried.await,
        None => std::future::pending().await,
    }
}

/// Restores a snapshot as a replay would.
fn restore(id: &RoomId, build: &Build, snapshot: &Snapshot) -> Tried {
    // The room's own instance has started, so a start that fails is not the machine's fault: it starts without input.
    let mut machine = match build.instantiate_with(Stack::Replaying) {
        Ok(machine) => machine,
        Err(fault) => {
            warn!(room = %id, seq = %snapshot.seq, %fault, "a snapshot could not be tried; it is tried again later");
            return Tried::NotTried;
        }
    };
    match machine.restore(&snapshot.state, snapshot.state_version) {
        Ok(_) => Tried::Restored,
        Err(error) => Tried::Failed(error.to_string()),
    }
}
