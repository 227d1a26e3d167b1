//! Proves each room as `reapply verify ROOM` does: by the export from its host, and nothing else.

use std::ops::ControlFlow;

use reapply_host::archive::{Proof, verify};
use reapply_machine::Engine;
use reapply_testing::{Host, http};
use tempfile::TempDir;

use crate::crowd::Kind;

/// A prover of rooms, one run after the other, which compiles each build once.
pub(crate) struct Prover {
    engine: Engine,
    _cache: TempDir,
}

impl Prover {
    pub(crate) fn new() -> Self {
        let cache = TempDir::new().unwrap();
        let engine = Engine::new(Some(cache.path())).expect("the engine runs here");
        Self { engine, _cache: cache }
    }

    /// Proves all rooms under load, and returns the numbers of events that were applied again and of checkpoints that were compared.
    ///
    /// # Panics
    ///
    /// A room cannot be proved, or its export ends at another event than the host's log.
    pub(crate) fn prove(&self, host: &Host) -> (u64, u64) {
        let proved = Kind::ALL.map(|kind| self.prove_room(host, &kind.room().to_string()));
        proved.iter().fold((0, 0), |sum, proved| (sum.0 + proved.0, sum.1 + proved.1))
    }

    /// Proves one room, like [`Prover::prove`].
    ///
    /// # Panics
    ///
    /// The same as for [`Prover::prove`].
    pub(crate) fn prove_room(&self, host: &Host, room: &str) -> (u64, u64) {
        let head = host.room(room)["seq"].as_u64().unwrap();
        let answer = http::get(&host.url(&format!("/rooms/{room}/export")));
        assert_eq!(answer.status, 200, "{room}: {}", answer.text());
        let proved = verify(&answer.body[..], &self.engine, &mut |_| ControlFlow::Continue(()));
        let Proof { header, counts, checkpoints, .. } = proved.unwrap_or_else(|error| panic!("{room}: {error}"));
        assert!(header.head.0 >= head, "{room}: the export ends at {}, and the log at {head}", header.head);
        (counts.events, checkpoints)
    }
}
