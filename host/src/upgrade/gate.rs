//! The gate: what a new build would do to a room, found out beside it.

use reapply_sync::{Batch, Chain, Digest, Replay, Seq};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::report::{Failure, Finding, Step, Tried};
use super::trial::Trial;
use crate::journal::{Record, RoomRecord};
use crate::machine::{Build, Instance, Machines};
use crate::room::limits::READ_BYTES;

/// Plays the last events of a room, `replay` of them at most, on the build that it runs and on `to`. Reads the journal, and nothing of the
/// room itself.
pub(super) async fn try_room(machines: &Machines, room: &RoomRecord, to: &Build, replay: u64) -> Tried {
    let finding = play(machines, room, to, replay).await.unwrap_or_else(Finding::Fails);
    Tried { room: room.room.to_string(), from: room.digest.to_string(), head: room.head, finding }
}

async fn play(machines: &Machines, room: &RoomRecord, to: &Build, replay: u64) -> Result<Finding, Failure> {
    let (id, head) = (&room.room, room.head);
    let past = |error: &dyn std::fmt::Display| Failure { step: Step::Past, seq: head, why: error.to_string() };
    let (first, first_chain) = room.start();
    let begins_at = Seq(head.0.saturating_sub(replay).max(first.0));
    let journal = machines.journal();
    let snapshot = journal.snapshot(id, Some(begins_at)).await.map_err(|error| past(&error))?;
    let (mut after, mut chain) =
        snapshot.as_ref().map_or((first, first_chain), |snapshot| (snapshot.seq, snapshot.chain));

    let (builds, genesis, to) = (builds(machines.clone()), room.genesis.clone(), to.clone());
    let mut trial = blocking(head, move || {
        let old = match &snapshot {
            Some(snapshot) => Replay::from_snapshot(builds, snapshot),
            None => Replay::from_genesis(builds, &genesis),
        };
        let old = old.map_err(|error| Failure { step: Step::Past, seq: begins_at, why: error.to_string() })?;
        Trial::new(old, &to, begins_at)
    })
    .await?;
    // What was accepted since the trial began is left out: a busy room has no end.
    while after < head {
        let records = journal.read(id, after, READ_BYTES).await.map_err(|error| past(&error))?;
        let (records, last) = upto(records, head);
        if records.is_empty() {
            return Err(past(&format!("its log ends at {after}")));
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

/// Makes instances of the builds that a log names. For threads that may block.
fn builds(machines: Machines) -> impl FnMut(Digest) -> Result<Instance, String> + Send + 'static {
    let runtime = Handle::current();
    move |digest| {
        let build = runtime.block_on(machines.build(digest)).map_err(|error| error.to_string())?;
        let build = build.ok_or_else(|| "it is not stored".to_owned())?;
        build.instantiate().map_err(|fault| fault.to_string())
    }
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
    done.unwrap_or_else(|error| Err(Failure { step: Step::Past, seq, why: format!("the host failed: {error}") }))
}
