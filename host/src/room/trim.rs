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
use reapply_sync::event::Damage;
use reapply_sync::{Batch, Chain, Digest, Fault, Input, Machine, Replay, ReplayError, RoomId, Seq, Snapshot};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::limits::{READ_BYTES, TRIM_CANDIDATES_MAX, TRIMS_AT_ONCE};
use super::rooms::Rooms;
use super::trims::Trims;
use crate::archive::follow::ClientRoster;
use crate::log::{LogError, LogReader, Logs};
use reapply_journal::{JournalError, RoomRecord, SnapshotRecord};
use reapply_machine::Instance;

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
    let (proving, runtime) = (rooms.clone(), Handle::current());
    let proved = tokio::task::spawn_blocking(move || prove(&proving, &runtime, &record, upto)).await;
    proved.map_err(|error| JournalError::Storage(error.to_string()))??;
    // The proof may have taken a while, and removed events are gone forever.
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

/// Replays the log from its beginning to `upto` with the builds of the log, and compares the stored snapshot with the result. Blocks.
fn prove(rooms: &Rooms, runtime: &Handle, record: &RoomRecord, upto: Seq) -> Result<(), TrimError> {
    let (logs, room) = (rooms.logs(), &record.room);
    let journal = &logs.journal;
    let snapshot_at = |seq: Seq| {
        let snapshot = runtime.block_on(journal.snapshot(room, Some(seq)))?;
        let snapshot = snapshot.filter(|snapshot| snapshot.seq == seq);
        snapshot.ok_or_else(|| JournalError::SnapshotMissing { room: room.clone(), seq })
    };
    let builds = logs.machines.for_replay();
    let begins = record.start();
    let (mut replay, mut followed) = match record.base {
        Some(_) => {
            let base = snapshot_at(begins.0)?;
            (Replay::from_snapshot(builds, &base)?, ClientRoster::from_snapshot(&base))
        }
        None => (Replay::from_genesis(builds, &record.genesis)?, ClientRoster::default()),
    };
    replay.check_checkpoints(true);
    let mut reader = LogReader::new(journal, room, begins).upto(upto);
    while reader.place().0 < upto {
        if rooms.is_stopping() {
            return Err(TrimError::Stopped);
        }
        let (before, _) = reader.place();
        let batches = runtime.block_on(reader.next(READ_BYTES))?;
        if batches.is_empty() {
            return Err(TrimError::Short(before));
        }
        for batch in batches {
            if batch.last() > upto {
                return Err(TrimError::Short(batch.expected));
            }
            batch.events.iter().try_for_each(|event| replay.apply(event))?;
            replay.end_batch();
            batch.events.iter().for_each(|event| followed.handle_event(event));
        }
    }
    let snapshot = snapshot_at(upto)?;
    followed.check(&snapshot).map_err(|why| TrimError::Misremembers { seq: upto, why })?;
    let taken = replay.snapshot().map_err(|fault| TrimError::Faulted { seq: upto, fault })?;
    compare(&snapshot, reader.place().1, &replay, taken)?;
    // Without the log before it, the room can only open from this snapshot.
    let unrestorable = |why: String| TrimError::Unrestorable { seq: upto, why };
    let mut machine = logs.machines.for_replay()(snapshot.digest).map_err(unrestorable)?;
    let restored = machine.restore(&snapshot.state, snapshot.state_version);
    restored.map(drop).map_err(|error| unrestorable(error.to_string()))
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
