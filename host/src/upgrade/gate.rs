//! The gate: finds the effect of a new build on a room, without affecting the room.

use reapply_journal::RoomRecord;
use reapply_machine::{Build, Instance, JobPanicked, Lane};
use reapply_sync::{Chain, Digest, Replay, ReplayError, Seq, Snapshot};

use super::report::{Failure, Step, Tried, UpgradeEffect};
use super::trial::Trial;
use crate::log::limits::REPLAY_READ_BYTES;
use crate::log::{LogError, LogReader, LogStep, Logs, Starts, go_through};

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
    let (pool, to) = (logs.machines.pool(), to.clone());
    let begun = pool.try_run(Lane::Replay, move || Trial::new(old, &to, begins_at)).await;
    let mut trial = begun.map_err(|panic| unread(head, &panic))??;
    // Events that were accepted since the trial began are left out, since the log of a busy room has no end.
    while reader.place().0 < head {
        let batches = reader.next(REPLAY_READ_BYTES).await.map_err(|error| unproved(head, error))?;
        if batches.is_empty() {
            return Err(unread(head, &format!("its log ends at {}", reader.place().0)));
        }
        trial = go_through(pool, trial, batches, take).await.map_err(|stopped| stopped.at(head))?;
    }
    pool.try_run(Lane::Replay, move || trial.finish()).await.unwrap_or_else(|panic| Err(unread(head, &panic)))
}

fn take<B: FnMut(Digest) -> Result<Instance, String>>(trial: &mut Trial<B>, step: LogStep<'_>) -> Result<(), Stopped> {
    match step {
        LogStep::Event(event) => trial.apply(event).map_err(Stopped::Failed),
        LogStep::BatchEnd => Ok(()),
    }
}

/// The reason why a trial stopped within the log.
enum Stopped {
    Failed(Failure),
    Panicked(JobPanicked),
}

impl Stopped {
    fn at(self, seq: Seq) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Panicked(panic) => unread(seq, &panic),
        }
    }
}

impl From<JobPanicked> for Stopped {
    fn from(panic: JobPanicked) -> Self {
        Self::Panicked(panic)
    }
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
        let begin = move || {
            let begun = match &snapshot {
                Some(snapshot) => Replay::from_snapshot(builds, snapshot),
                None => Replay::from_genesis(builds, &genesis),
            };
            begun.map_err(|why| (snapshot.as_ref().map(at), why))
        };
        let begun = logs.machines.pool().try_run(Lane::Replay, begin).await;
        let (failed, why) = match begun.map_err(|panic| unread(begins_at, &panic))? {
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
