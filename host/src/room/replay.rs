//! Past states: made again from the nearest snapshot and the log, in an instance of their own.

use reapply_sync::{Digest, Replay, RoomId, Seq, Timestamp};

use super::open::{OpenRoomError, digests_of, read_batches};
use crate::machine::{Machines, MachinesError};

/// A room as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The last event in it.
    pub seq: Seq,
    /// That event's time; the room's creation where there is none.
    pub time: Timestamp,
    /// The build that made it.
    pub digest: Digest,
    /// What the machine shows of it, as JSON.
    pub view: String,
}

/// Why a past state could not be made again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log does not go so far.
    #[error("the room's log ends at {head}; there is no state at {asked}")]
    Beyond {
        /// What was asked for.
        asked: Seq,
        /// The last event.
        head: Seq,
    },
    /// The room could not be read.
    #[error(transparent)]
    Open(#[from] OpenRoomError),
    /// The log could not be gone through again.
    #[error(transparent)]
    Replay(#[from] reapply_sync::ReplayError),
    /// A build that the log names is not to be had.
    #[error(transparent)]
    Machines(#[from] MachinesError),
    /// The machine faulted.
    #[error(transparent)]
    Fault(#[from] reapply_sync::Fault),
}

/// The state of the room `id` at `seq`.
///
/// # Errors
///
/// There is no such room or seq, or the state cannot be made again.
pub async fn state_at(machines: &Machines, id: &RoomId, seq: Seq) -> Result<Moment, ReplayError> {
    let journal = machines.journal();
    let record = journal.room(id).await.map_err(OpenRoomError::from)?;
    let record = record.ok_or_else(|| OpenRoomError::NoSuchRoom(id.clone()))?;
    if seq > record.head {
        return Err(ReplayError::Beyond { asked: seq, head: record.head });
    }
    let snapshot = journal.snapshot(id, Some(seq)).await.map_err(OpenRoomError::from)?;
    let (from, chain) = snapshot.as_ref().map_or(record.start(), |snapshot| (snapshot.seq, snapshot.chain));
    let batches = read_batches(journal, id, from, chain, Some(seq)).await?;
    let genesis = record.genesis;
    let first = snapshot.as_ref().map_or(genesis.digest, |snapshot| snapshot.digest);
    let builds = machines.builds(digests_of(first, &batches)).await?;
    let replayed = tokio::task::spawn_blocking(move || {
        let start = |digest| builds.start(digest);
        let mut replay = match &snapshot {
            Some(snapshot) => Replay::from_snapshot(start, snapshot)?,
            None => Replay::from_genesis(start, &genesis)?,
        };
        for event in batches.iter().flat_map(|batch| &batch.events).take_while(|event| event.seq <= seq) {
            replay.apply(event)?;
        }
        let (time, digest) = (replay.time(), replay.digest());
        let (machine, state) = replay.state();
        Ok(Moment { seq, time, digest, view: machine.view(state)? })
    });
    replayed.await.unwrap_or_else(|error| Err(reapply_sync::Fault::Trapped(error.to_string()).into()))
}
