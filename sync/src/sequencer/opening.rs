//! Opening a room: replaying everything that its journal holds.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::candidate::{Candidate, Checkpoint};
use super::costs::Costs;
use super::{Sequencer, SnapshotPolicy, note_presence};
use crate::clients::Clients;
use crate::event::{Batch, BatchBuilder, Genesis, Input};
use crate::history::History;
use crate::id::{Author, Digest, LogId, Seq};
use crate::limits::{LOG_EVENTS_MAX, Limits};
use crate::machine::{Fault, Machine};
use crate::replay::Replay;
use crate::report::OpenError;
use crate::snapshot::Snapshot;

impl<M: Machine> Sequencer<M> {
    /// Opens a room at its genesis or at a snapshot, and replays the batches that follow. Call it once, with all of them. `builds` makes a
    /// machine of the build with a digest; `log` is the log's id, from its genesis or from the event that forked it.
    ///
    /// # Errors
    ///
    /// Fails if a state could not be made. The room's log is untouched.
    pub fn open(
        builds: impl FnMut(Digest) -> Result<M, String>,
        log: LogId,
        genesis: Genesis,
        snapshot: Option<Snapshot>,
        batches: impl IntoIterator<Item = Batch>,
    ) -> Result<Self, OpenError> {
        Self::open_within(Limits::default(), builds, log, genesis, snapshot, batches)
    }

    /// Opens a room as [`Sequencer::open`] does, within other limits than the default ones.
    ///
    /// # Errors
    ///
    /// The same as for [`Sequencer::open`].
    pub fn open_within(
        limits: Limits,
        builds: impl FnMut(Digest) -> Result<M, String>,
        log: LogId,
        genesis: Genesis,
        snapshot: Option<Snapshot>,
        batches: impl IntoIterator<Item = Batch>,
    ) -> Result<Self, OpenError> {
        let mut replay = match &snapshot {
            Some(snapshot) => Replay::from_snapshot(builds, snapshot)?,
            None => Replay::from_genesis(builds, &genesis)?,
        };
        let mut opening = Opening::begin(&mut replay, limits, log, &genesis, snapshot)?;
        for batch in batches {
            opening.go_through(&mut replay, &batch)?;
        }
        let head = opening.history.head();
        if head.0 > LOG_EVENTS_MAX {
            return Err(OpenError::TooLong { head });
        }
        let mut sequencer = opening.finish(replay, limits, genesis);
        sequencer.take_snapshot_if_due();
        Ok(sequencer)
    }
}

/// A room that is being opened, while it replays its journal.
struct Opening {
    clients: Clients,
    present: BTreeSet<Author>,
    history: History,
    candidate: Option<Candidate>,
    /// Whether the log has a checkpoint after the base: its snapshot was not restored, or not stored.
    is_doubtful: bool,
    base_cost: u64,
    tail_cost: u64,
}

impl Opening {
    /// Begins at the snapshot, or at the genesis.
    fn begin<M: Machine, B: FnMut(Digest) -> Result<M, String>>(
        replay: &mut Replay<M, B>,
        limits: Limits,
        log: LogId,
        genesis: &Genesis,
        snapshot: Option<Snapshot>,
    ) -> Result<Self, OpenError> {
        let base_cost = replay.state().0.take_cost();
        let base = match snapshot {
            Some(snapshot) => snapshot,
            None => first_snapshot(replay, genesis).map_err(OpenError::Snapshot)?,
        };
        // The cost of writing the first snapshot does not count.
        let _written = replay.state().0.take_cost();
        Ok(Self {
            clients: Clients::restore(&base.clients, base.forgotten, limits),
            present: base.present.iter().cloned().collect(),
            history: History::new(log, base, &limits),
            candidate: None,
            is_doubtful: false,
            base_cost,
            tail_cost: 0,
        })
    }

    /// Replays a batch.
    fn go_through<M: Machine, B: FnMut(Digest) -> Result<M, String>>(
        &mut self,
        replay: &mut Replay<M, B>,
        batch: &Batch,
    ) -> Result<(), OpenError> {
        let head = self.history.head();
        if batch.expected != head {
            return Err(OpenError::Disordered { expected: batch.expected, head });
        }
        for event in &batch.events {
            replay.apply(event)?;
            if let Input::Transition { client, number, .. } = event.input {
                self.clients.replay(client, number, event.seq, event.time);
            }
            note_presence(&mut self.present, &event.input);
            self.is_doubtful |= matches!(event.input, Input::Checkpoint { seq, .. } if seq > self.history.base().seq);
        }
        self.history.push(batch);
        self.tail_cost += replay.state().0.take_cost();
        if batch.upgrade().is_some() {
            // Recovery restores the newest snapshot with the current build, so an upgrade always has a snapshot of its own.
            let (state_version, state) = replay.snapshot().map_err(OpenError::Snapshot)?;
            let snapshot = Arc::new(Snapshot {
                seq: replay.seq(),
                digest: replay.digest(),
                state_version,
                time: replay.time(),
                chain: batch.chain,
                clients: self.clients.record(replay.time()),
                forgotten: self.clients.forgotten(),
                present: self.present.iter().cloned().collect(),
                state,
            });
            let hash = snapshot.state_hash();
            self.history.note_checkpoint(snapshot.seq, hash);
            self.history.rebase(Arc::clone(&snapshot), hash);
            (self.base_cost, self.tail_cost) = (replay.state().0.take_cost(), 0);
            // The journal may lack this snapshot, and stores it once it was tried.
            self.candidate = Some(Candidate::new(snapshot, hash, Checkpoint::Needless, self.base_cost, 0));
            self.is_doubtful = false;
        }
        Ok(())
    }

    /// Returns the room, at the end of its log.
    fn finish<M: Machine, B: FnMut(Digest) -> Result<M, String>>(
        self,
        replay: Replay<M, B>,
        limits: Limits,
        genesis: Genesis,
    ) -> Sequencer<M> {
        let Self { clients, present, history, candidate, is_doubtful, base_cost, tail_cost } = self;
        let (digest, time) = (replay.digest(), replay.time());
        let (machine, durable) = replay.into_state();
        Sequencer {
            limits,
            clients,
            durable_time: time,
            time,
            durable_present: present.clone(),
            present,
            open: BatchBuilder::new(history.head(), history.chain()),
            history: Arc::new(history),
            machine,
            digest,
            upgraded: Seq(0),
            genesis,
            durable,
            in_flight: None,
            open_state: None,
            upgrade: None,
            rejected: VecDeque::new(),
            reports: VecDeque::new(),
            alarm: None,
            alarm_spent: None,
            snapshot_policy: SnapshotPolicy::default(),
            snapshot_due_bytes: 0,
            is_overfull_told: false,
            snapshot_failure: None,
            candidate,
            is_doubtful,
            snapshot: None,
            broken: None,
            costs: Costs::new(base_cost, tail_cost),
            slice: None,
            is_lost: false,
            postponed: Vec::new(),
            faulted: None,
            charges: VecDeque::new(),
        }
    }
}

fn first_snapshot<M: Machine, B: FnMut(Digest) -> Result<M, String>>(
    replay: &mut Replay<M, B>,
    genesis: &Genesis,
) -> Result<Snapshot, Fault> {
    let (state_version, state) = replay.snapshot()?;
    Ok(Snapshot {
        seq: Seq(0),
        digest: genesis.digest,
        state_version,
        time: genesis.time,
        chain: genesis.chain(),
        clients: Vec::new(),
        forgotten: None,
        present: Vec::new(),
        state,
    })
}
