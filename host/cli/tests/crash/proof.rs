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

    /// Proves all rooms, and returns the numbers of events that were applied again and of checkpoints that were compared.
    ///
    /// # Panics
    ///
    /// A room cannot be proved, or its export ends at another event than the host's log.
    pub(crate) fn prove(&self, host: &Host) -> (u64, u64) {
        let (mut events, mut checkpoints) = (0, 0);
        for room in Kind::ALL.map(Kind::room) {
            let head = host.room(&room.to_string())["seq"].as_u64().unwrap();
            let answer = http::get(&host.url(&format!("/rooms/{room}/export")));
            assert_eq!(answer.status, 200, "{room}: {}", answer.text());
            let proved = verify(&answer.body[..], &self.engine, &mut |_| ControlFlow::Continue(()));
            let Proof { header, counts, checkpoints: compared, .. } =
                proved.unwrap_or_else(|error| panic!("{room}: {error}"));
            assert!(header.head.0 >= head, "{room}: the export ends at {}, and the log at {head}", header.head);
            events += counts.events;
            checkpoints += compared;
        }
        (events, checkpoints)
    }
}
