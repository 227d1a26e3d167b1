//! Past states: made again from the nearest snapshot and the log, in an instance of their own.

use reapply_sync::{ApplyError, Digest, LoadError, Machine, RoomId, Seq, Timestamp};

use super::open::{OpenRoomError, build_of, read_batches};
use crate::machine::Machines;

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
    /// The machine did not make its first state, or the snapshot's.
    #[error("the state at {seq} could not be made: {error}")]
    Load {
        /// Where.
        seq: Seq,
        /// Why.
        error: LoadError,
    },
    /// The machine did not apply what it had applied once.
    #[error("event {seq} could not be applied again: {error}")]
    Apply {
        /// Where.
        seq: Seq,
        /// Why.
        error: ApplyError,
    },
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
    let build = build_of(machines, id, record.digest).await?;
    let (digest, genesis) = (build.digest(), record.genesis);
    let replayed = tokio::task::spawn_blocking(move || {
        let mut instance = build.instantiate()?;
        let loaded = match &snapshot {
            Some(snapshot) => instance.restore(&snapshot.state, snapshot.state_version),
            None => instance.create(&genesis.options),
        };
        let mut state = loaded.map_err(|error| ReplayError::Load { seq: from, error })?;
        let mut time = snapshot.map_or(genesis.time, |snapshot| snapshot.time);
        for event in batches.iter().flat_map(|batch| &batch.events).take_while(|event| event.seq <= seq) {
            let applied = instance.apply(&state, event);
            state = applied.map_err(|error| ReplayError::Apply { seq: event.seq, error })?;
            time = event.time;
        }
        Ok(Moment { seq, time, digest, view: instance.view(&state)? })
    });
    replayed.await.unwrap_or_else(|error| Err(reapply_sync::Fault::Trapped(error.to_string()).into()))
}
