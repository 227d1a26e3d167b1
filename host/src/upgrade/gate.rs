//! The gate: finds the effect of a new build on a room, without affecting the room.

use reapply_sync::{Chain, Digest, Replay, ReplayError, Seq, Snapshot};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::report::{Failure, Step, Tried, UpgradeEffect};
use super::trial::Trial;
use crate::log::{LogError, LogReader, Logs, Starts};
use crate::room::limits::READ_BYTES;
use reapply_journal::RoomRecord;
use reapply_machine::{Build, Instance};

/// Plays the last events of a room, at most `replay`, on the build that it runs and on `to`. Reads only the journal, and does not touch the room
/// itself.
pub(super) async fn try_room(logs: &Logs, room: &RoomRecord, to: &Build, replay: u64) -> Tried {
    let finding = play(logs, room, to, replay).await.unwrap_or_else(|failure| match failure.step {
        Step::Past => UpgradeEffect::Broken(failure),
        _ => UpgradeEffect::Fails(failure),
    });
    Tried { room: room.room.to_string(), from: room.digest.to_string(), head: room.head, finding }
}

async fn play(logs: &Logs, room: &RoomRecord, to: &Build, replay: u64) -> Result<UpgradeEffect, Failure> {
    let head = room.head;
    let begins_at = Seq(head.0.saturating_sub(replay).max(room.start().0.0));
    let (old, from) = begin(logs, room, begins_at).await?;
    let mut reader = LogReader::new(&logs.journal, &room.room, from).upto(head);
    let (to, runtime) = (to.clone(), Handle::current());
    blocking(head, move || {
        let mut trial = Trial::new(old, &to, begins_at)?;
        // Events that were accepted since the trial began are left out, since the log of a busy room has no end.
        while reader.place().0 < head {
            let batches = runtime.block_on(reader.next(READ_BYTES)).map_err(|error| unproved(head, error))?;
            if batches.is_empty() {
                return Err(unread(head, &format!("its log ends at {}", reader.place().0)));
            }
            batches.iter().flat_map(|batch| &batch.events).try_for_each(|event| trial.apply(event))?;
        }
        trial.finish()
    })
    .await
}

/// Returns a replay on the build that the room runs, from the nearest start that can be used, with its place and the chain there.
async fn begin(
    logs: &Logs,
    room: &RoomRecord,
    begins_at: Seq,
) -> Result<(Replay<Instance, impl FnMut(Digest) -> Result<Instance, String> + Send + use<>>, (Seq, Chain)), Failure> {
    let mut starts = Starts::new(&logs.journal, room, Some(begins_at));
    let mut start = starts.nearest().await.map_err(|error| unread(begins_at, &error))?;
    loop {
        let from = start.as_ref().map_or_else(|| room.start(), |start| (start.seq, start.chain));
        let (builds, snapshot, genesis) = (logs.machines.for_replay(), start.take(), room.genesis.clone());
        let begun = blocking(begins_at, move || {
            Ok(match &snapshot {
                Some(snapshot) => Replay::from_snapshot(builds, snapshot),
                None => Replay::from_genesis(builds, &genesis),
            }
            .map_err(|why| (snapshot.as_ref().map(at), why)))
        });
        let (failed, why) = match begun.await? {
            Ok(old) => return Ok((old, from)),
            Err(failed) => failed,
        };
        match starts.earlier(failed, &why).await.map_err(|error| unread(begins_at, &error))? {
            Some(earlier) => start = earlier,
            None => return Err(broken(begins_at, &why)),
        }
    }
}

fn at(snapshot: &Snapshot) -> Seq {
    snapshot.seq
}

fn broken(seq: Seq, why: &ReplayError) -> Failure {
    Failure { step: Step::Past, seq, why: why.to_string() }
}

fn unproved(seq: Seq, why: LogError) -> Failure {
    match why {
        LogError::Journal(error) => unread(seq, &error),
        LogError::Damaged { damage, .. } => {
            Failure { step: Step::Past, seq: damage.seq, why: format!("the log is damaged: {damage}") }
        }
    }
}

fn unread(seq: Seq, why: &dyn std::fmt::Display) -> Failure {
    Failure { step: Step::Read, seq, why: why.to_string() }
}

/// Runs long work away from the threads that serve sockets.
async fn blocking<T: Send + 'static>(
    seq: Seq,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(unread(seq, &format!("the host failed: {error}"))))
}
