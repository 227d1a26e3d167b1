//! The gate: what a new build would do to a room, found out beside it.

use reapply_sync::{Batch, Chain, Digest, Replay, ReplayError, Seq, Snapshot};
use tokio::task::spawn_blocking;

use super::report::{Failure, Finding, Step, Tried};
use super::trial::Trial;
use crate::journal::{Record, RoomRecord};
use crate::machine::{Build, Instance, Machines};
use crate::room::Starts;
use crate::room::limits::READ_BYTES;

/// Plays the last events of a room, `replay` of them at most, on the build that it runs and on `to`. Reads the journal, and nothing of the
/// room itself.
pub(super) async fn try_room(machines: &Machines, room: &RoomRecord, to: &Build, replay: u64) -> Tried {
    let finding = play(machines, room, to, replay).await.unwrap_or_else(|failure| match failure.step {
        Step::Past => Finding::Broken(failure),
        _ => Finding::Fails(failure),
    });
    Tried { room: room.room.to_string(), from: room.digest.to_string(), head: room.head, finding }
}

async fn play(machines: &Machines, room: &RoomRecord, to: &Build, replay: u64) -> Result<Finding, Failure> {
    let (id, head) = (&room.room, room.head);
    let begins_at = Seq(head.0.saturating_sub(replay).max(room.start().0.0));
    let (old, mut after, mut chain) = begin(machines, room, begins_at).await?;
    let to = to.clone();
    let mut trial = blocking(head, move || Trial::new(old, &to, begins_at)).await?;
    // What was accepted since the trial began is left out: a busy room has no end.
    while after < head {
        let records = machines.journal().read(id, after, READ_BYTES).await.map_err(|error| unread(head, &error))?;
        let (records, last) = upto(records, head);
        if records.is_empty() {
            return Err(unread(head, &format!("its log ends at {after}")));
        }
        (trial, chain) = blocking(after, move || {
            let chain = play_records(&mut trial, &records, chain)?;
            Ok((trial, chain))
        })
        .await?;
        after = last;
    }
    blocking(head, move || trial.finish()).await
}

/// A replay on the build that the room runs, from the nearest start that can be used; where it stands, and the chain there.
async fn begin(
    machines: &Machines,
    room: &RoomRecord,
    begins_at: Seq,
) -> Result<(Replay<Instance, impl FnMut(Digest) -> Result<Instance, String> + Send + use<>>, Seq, Chain), Failure> {
    let mut starts = Starts::new(machines.journal(), room, Some(begins_at));
    let mut start = starts.nearest().await.map_err(|error| unread(begins_at, &error))?;
    loop {
        let (after, chain) = start.as_ref().map_or_else(|| room.start(), |start| (start.seq, start.chain));
        let (builds, from, genesis) = (machines.for_replay(), start.take(), room.genesis.clone());
        let begun = blocking(begins_at, move || {
            Ok(match &from {
                Some(snapshot) => Replay::from_snapshot(builds, snapshot),
                None => Replay::from_genesis(builds, &genesis),
            }
            .map_err(|why| (from.as_ref().map(at), why)))
        });
        let (failed, why) = match begun.await? {
            Ok(old) => return Ok((old, after, chain)),
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

fn unread(seq: Seq, why: &dyn std::fmt::Display) -> Failure {
    Failure { step: Step::Read, seq, why: why.to_string() }
}

/// The records up to the one that ends at `head`, and where the last of them ends.
fn upto(mut records: Vec<Record>, head: Seq) -> (Vec<Record>, Seq) {
    records.retain(|record| record.last <= head);
    let last = records.last().map_or(head, |record| record.last);
    (records, last)
}

fn play_records<B: FnMut(Digest) -> Result<Instance, String>>(
    trial: &mut Trial<B>,
    records: &[Record],
    mut chain: Chain,
) -> Result<Chain, Failure> {
    for record in records {
        let damaged = |damage: reapply_sync::event::Damage| Failure {
            step: Step::Past,
            seq: damage.seq,
            why: format!("the log is damaged: {damage}"),
        };
        let batch: Batch = record.decode(chain).map_err(damaged)?;
        batch.events.iter().try_for_each(|event| trial.apply(event))?;
        chain = batch.chain;
    }
    Ok(chain)
}

/// Does what takes its time away from the threads that serve sockets.
async fn blocking<T: Send + 'static>(
    seq: Seq,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(unread(seq, &format!("the host failed: {error}"))))
}
