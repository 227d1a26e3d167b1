//! Forks: new rooms that share the past of another room.

use std::sync::Arc;

use reapply_journal::{Journal, JournalError, NewRoom, RoomRecord};
use reapply_sync::room::Note;
use reapply_sync::{LogId, Machine, RoomId, Seq, Timestamp};
use tokio::runtime::Handle;

use super::limits::RECORDS_BYTES;
use super::staging::{Staging, forked};
use crate::log::{LogError, LogReader, Logs};
use crate::room::{OpenRoomError, PastError, find, look_at};

/// A room that was forked off another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The id of its own log.
    pub log: LogId,
    /// The time of the last event that both rooms share.
    pub time: Timestamp,
}

/// Creates the room `to` with the log of `from` up to the event `at`. From there on it writes a log of its own.
///
/// # Errors
///
/// The state at `at` cannot be rebuilt, the room `to` exists, or the journal fails. Then nothing has changed.
pub async fn fork(logs: &Logs, from: &RoomRecord, at: Seq, to: &RoomId) -> Result<Fork, PastError> {
    // Keeps the log from being trimmed between the check and the copy.
    let _hold = logs.journal.hold(&from.room).await.map_err(OpenRoomError::from)?;
    let from = &find(logs, &from.room).await?;
    // Checks that the state can be rebuilt before anything is copied.
    let (chain, time, alarm) = look_at(logs, from, at, |standing| {
        Ok((standing.chain, standing.time, standing.machine.alarm(standing.state)?))
    })
    .await?;
    let (journal, runtime) = (logs.journal.clone(), Handle::current());
    let (from, own) = (from.clone(), forked(to, at, chain, time));
    let log = own.chain.log_id();
    let RoomRecord { genesis, base, .. } = from.clone();
    let room = NewRoom { room: to.clone(), genesis, log, base, note: Note::default(), staged: true };
    let copied = tokio::task::spawn_blocking(move || {
        let mut staging = Staging::begin(journal.as_ref(), &runtime, room)?;
        copy(&journal, &runtime, &from, at, &mut staging)?;
        staging.batch(&own)?;
        staging.publish(alarm.map(|alarm| alarm.at))
    });
    let copied = copied.await.unwrap_or_else(|error| Err(JournalError::Storage(error.to_string())));
    copied.map_err(OpenRoomError::from)?;
    Ok(Fork { log, time })
}

/// Copies the batches and snapshots up to `upto`, each batch proved by the chain.
fn copy(
    journal: &Arc<dyn Journal>,
    runtime: &Handle,
    from: &RoomRecord,
    upto: Seq,
    staging: &mut Staging<'_>,
) -> Result<(), JournalError> {
    let snapshots = runtime.block_on(journal.snapshots(&from.room))?;
    let mut snapshots = snapshots.into_iter().map(|snapshot| snapshot.seq).filter(|seq| *seq <= upto).peekable();
    let (mut after, mut chain) = from.start();
    let mut reader = LogReader::new(journal, &from.room, (after, chain)).upto(upto);
    loop {
        while let Some(seq) = snapshots.next_if(|seq| *seq <= after) {
            let snapshot = runtime.block_on(journal.snapshot(&from.room, Some(seq)))?;
            snapshot.filter(|snapshot| snapshot.seq == seq).map_or(Ok(()), |snapshot| staging.snapshot(&snapshot))?;
        }
        if after >= upto {
            return Ok(());
        }
        let batches = runtime.block_on(reader.next(RECORDS_BYTES)).map_err(|error| match error {
            LogError::Journal(error) => error,
            LogError::Damaged { .. } => JournalError::Damaged(error.to_string()),
        })?;
        if batches.is_empty() {
            return Err(JournalError::Damaged(format!("the log of {} ends at {after}", from.room)));
        }
        for batch in batches {
            let batch = if batch.last() > upto { batch.up_to(chain, upto) } else { batch };
            staging.batch(&batch)?;
            (after, chain) = (batch.last(), batch.chain);
        }
    }
}
