//! Trims logs if the machine's retention says so: removes the events before a snapshot, once all of them were proved.
//!
//! ```text
//!  a snapshot is stored ────┐
//!  its checkpoint is stored ├─▶ a few rooms at a time ───────────▶ the newest snapshot with a checkpoint in the log
//!  a policy was set ────────┘        │ replays the log up to it, in an instance of its own
//!                                    ▼
//!                    the chain, the checkpoints and the snapshot agree with it? ──▶ Journal::trim
//! ```
//!
//! Trimming depends only on the journal, so it does not matter how often, when or by whom a room is offered.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use reapply_journal::{JournalError, RoomRecord, SnapshotRecord};
use reapply_machine::{Instance, JobPanicked, Lane};
use reapply_sync::event::Damage;
use reapply_sync::{Batch, Chain, Digest, Fault, Genesis, Input, Machine, Replay, ReplayError, RoomId, Seq, Snapshot};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::limits::{READ_BYTES, TRIM_CANDIDATES_MAX, TRIMS_AT_ONCE};
use super::rooms::Rooms;
use super::trims::Trims;
use crate::archive::follow::ClientRoster;
use crate::log::limits::REPLAY_READ_BYTES;
use crate::log::{LogError, LogReader, LogStep, Logs, go_through};

/// Trims the rooms that are offered, until the host stops. A few are trimmed at a time, so that no room waits for one that takes long.
pub(super) async fn run(rooms: Rooms, mut trims: Trims) {
    let mut under_way = JoinSet::new();
    let mut busy = HashMap::new();
    loop {
        tokio::select! {
            room = trims.next(), if under_way.len() < TRIMS_AT_ONCE => {
                let Some(room) = room else { return };
                match busy.entry(room) {
                    // The room is offered again meanwhile, so it is trimmed once more afterwards.
                    Entry::Occupied(mut again) => drop(again.insert(true)),
                    Entry::Vacant(new) => {
                        under_way.spawn(trim_and_tell(rooms.clone(), new.key().clone()));
                        new.insert(false);
                    }
                }
            }
            Some(done) = under_way.join_next() => {
                // A panic in the task was reported where it happened. Its room is not trimmed until the next start.
                let Ok(room) = done else { continue };
                if busy.remove(&room) == Some(true) {
                    busy.insert(room.clone(), false);
                    under_way.spawn(trim_and_tell(rooms.clone(), room));
                }
            }
        }
    }
}

/// Trims a room's log, reports the outcome to the operator, and returns the room.
async fn trim_and_tell(rooms: Rooms, room: RoomId) -> RoomId {
    match trim(&rooms, &room).await {
        Ok(None) | Err(TrimError::Stopped) => {}
        Ok(Some(upto)) => info!(%room, %upto, "the log was proved and trimmed"),
        Err(why @ TrimError::Unrestorable { .. }) => warn!(%room, %why, "the log was not trimmed"),
        Err(TrimError::Journal(why) | TrimError::Log(LogError::Journal(why))) => {
            warn!(%room, %why, "the log was not trimmed; it is tried again at its next checkpoint")
        }
        Err(TrimError::Panicked(why)) => error!(%room, %why, "the log was not trimmed"),
        Err(why) => {
            error!(%room, %why, "the log does not lead to its snapshot, so it is not trimmed; check it with `reapply verify`")
        }
    }
    room
}

/// The reason why a log was not trimmed. Nothing of it was removed.
#[derive(Debug, thiserror::Error)]
enum TrimError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("no snapshot could be taken at {seq}: {fault}")]
    Faulted { seq: Seq, fault: Fault },
    #[error("the stored snapshot at {seq} is not that of the log: {what} differs")]
    Differs { seq: Seq, what: &'static str },
    #[error("the stored snapshot at {seq} is not that of the log: {why}")]
    Misremembers { seq: Seq, why: String },
    #[error("the stored snapshot at {seq} cannot be restored, so the log before it stays: {why}")]
    Unrestorable { seq: Seq, why: String },
    #[error("no record ends at the snapshot, but one at {0}")]
    Short(Seq),
    #[error(transparent)]
    Panicked(#[from] JobPanicked),
    #[error("the host stops")]
    Stopped,
}

/// Trims the log of `room` as far as its retention allows. Returns the last event that was removed, if any.
async fn trim(rooms: &Rooms, room: &RoomId) -> Result<Option<Seq>, TrimError> {
    let logs = rooms.logs();
    let journal = &logs.journal;
    if !is_wanted(logs, room).await? {
        return Ok(None);
    }
    let Some(record) = journal.room(room).await? else { return Ok(None) };
    let Some(upto) = last_checkpoint(logs, &record).await? else { return Ok(None) };
    prove(rooms, &record, upto).await?;
    // That may have taken a while, and what is removed is gone for good.
    if !is_wanted(logs, room).await? {
        return Ok(None);
    }
    journal.trim(room, upto).await?;
    Ok(Some(upto))
}

/// Returns whether the retention of the room's machine trims logs.
async fn is_wanted(logs: &Logs, room: &RoomId) -> Result<bool, JournalError> {
    Ok(logs.machines.current(&room.machine).await?.is_some_and(|machine| machine.retention.trim))
}

/// Returns the newest snapshot after the log's beginning that has a checkpoint in the log.
async fn last_checkpoint(logs: &Logs, record: &RoomRecord) -> Result<Option<Seq>, TrimError> {
    let (begins, _) = record.start();
    let snapshots = logs.journal.snapshots(&record.room).await?;
    let candidates = snapshots.iter().rev().take_while(|snapshot| snapshot.seq > begins).take(TRIM_CANDIDATES_MAX);
    for SnapshotRecord { seq, hash, .. } in candidates {
        // The checkpoint follows in one of the next batches.
        for record in logs.journal.read(&record.room, *seq, READ_BYTES).await? {
            let its_checkpoint = Input::Checkpoint { seq: *seq, hash: *hash };
            if Batch::read(record.expected, &record.body)?.iter().any(|event| event.input == its_checkpoint) {
                return Ok(Some(*seq));
            }
        }
    }
    Ok(None)
}

/// Goes through the log from its beginning to `upto`, with the original builds, and compares the snapshot there with the state that it leads to.
async fn prove(rooms: &Rooms, record: &RoomRecord, upto: Seq) -> Result<(), TrimError> {
    let (logs, begins) = (rooms.logs(), record.start());
    let pool = logs.machines.pool();
    let base = match record.base {
        Some(_) => Some(snapshot_at(logs, &record.room, begins.0).await?),
        None => None,
    };
    let (builds, genesis) = (logs.machines.for_replay(), record.genesis.clone());
    let mut proof = pool.try_run(Lane::Replay, move || Proof::begin(builds, base.as_ref(), &genesis)).await??;
    let mut reader = LogReader::new(&logs.journal, &record.room, begins).upto(upto);
    while reader.place().0 < upto {
        if rooms.is_stopping() {
            return Err(TrimError::Stopped);
        }
        let (before, _) = reader.place();
        let batches = reader.next(REPLAY_READ_BYTES).await?;
        if batches.is_empty() {
            return Err(TrimError::Short(before));
        }
        if let Some(beyond) = batches.iter().find(|batch| batch.last() > upto) {
            return Err(TrimError::Short(beyond.expected));
        }
        proof = go_through(pool, proof, batches, Proof::take).await?;
    }
    let (snapshot, chain) = (snapshot_at(logs, &record.room, upto).await?, reader.place().1);
    // Without the log before it, the room has only this to open from.
    let builds = logs.machines.for_replay();
    let restore = move || {
        proof.finish(&snapshot, chain)?;
        restore(builds, &snapshot).map_err(|why| TrimError::Unrestorable { seq: upto, why })
    };
    pool.try_run(Lane::Replay, restore).await?
}

/// The stored snapshot of exactly this seq.
async fn snapshot_at(logs: &Logs, room: &RoomId, seq: Seq) -> Result<Snapshot, JournalError> {
    let snapshot = logs.journal.snapshot(room, Some(seq)).await?.filter(|snapshot| snapshot.seq == seq);
    snapshot.ok_or_else(|| JournalError::SnapshotMissing { room: room.clone(), seq })
}

/// Restores a snapshot as a replay would; the error says why that fails.
fn restore(mut builds: impl FnMut(Digest) -> Result<Instance, String>, snapshot: &Snapshot) -> Result<(), String> {
    let restored = builds(snapshot.digest)?.restore(&snapshot.state, snapshot.state_version);
    restored.map(drop).map_err(|error| error.to_string())
}

/// A proof that is under way.
struct Proof<B> {
    replay: Replay<Instance, B>,
    followed: ClientRoster,
}

impl<B: FnMut(Digest) -> Result<Instance, String>> Proof<B> {
    /// Begins where the log does: at its base, if it was trimmed before, or at its genesis.
    fn begin(builds: B, base: Option<&Snapshot>, genesis: &Genesis) -> Result<Self, TrimError> {
        let (mut replay, followed) = match base {
            Some(base) => (Replay::from_snapshot(builds, base)?, ClientRoster::from_snapshot(base)),
            None => (Replay::from_genesis(builds, genesis)?, ClientRoster::default()),
        };
        replay.check_checkpoints(true);
        Ok(Self { replay, followed })
    }

    fn take(&mut self, step: LogStep<'_>) -> Result<(), TrimError> {
        match step {
            LogStep::Event(event) => {
                self.replay.apply(event)?;
                self.followed.handle_event(event);
            }
            LogStep::BatchEnd => self.replay.end_batch(),
        }
        Ok(())
    }

    /// Compares the snapshot with the state and the clients that the log led to.
    fn finish(mut self, snapshot: &Snapshot, chain: Chain) -> Result<(), TrimError> {
        let seq = snapshot.seq;
        self.followed.check(snapshot).map_err(|why| TrimError::Misremembers { seq, why })?;
        let taken = self.replay.snapshot().map_err(|fault| TrimError::Faulted { seq, fault })?;
        compare(snapshot, chain, &self.replay, taken)
    }
}

/// Checks that a stored snapshot is the one that the log leads to.
fn compare<B: FnMut(Digest) -> Result<Instance, String>>(
    snapshot: &Snapshot,
    chain: Chain,
    replay: &Replay<Instance, B>,
    taken: (u32, Bytes),
) -> Result<(), TrimError> {
    let differing = [
        ("its chain", snapshot.chain == chain),
        ("its build", snapshot.digest == replay.digest()),
        ("its time", snapshot.time == replay.time()),
        ("its state", (snapshot.state_version, &snapshot.state) == (taken.0, &taken.1)),
    ];
    match differing.into_iter().find(|(_, is_same)| !is_same) {
        Some((what, _)) => Err(TrimError::Differs { seq: snapshot.seq, what }),
        None => Ok(()),
    }
}
