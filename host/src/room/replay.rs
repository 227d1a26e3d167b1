//! Past states, rebuilt from the nearest snapshot and the log in an instance of their own.

use bytes::Bytes;
use reapply_journal::RoomRecord;
use reapply_machine::{Instance, Lane, MachinePool, Stack, State};
use reapply_sync::{Batch, Chain, Digest, Fault, Genesis, Replay, ReplayError, RoomId, Seq, Snapshot, Timestamp};

use super::error::{OpenRoomError, PastError};
use super::limits::READ_BYTES;
use super::view;
use crate::log::{LogReader, LogStep, Logs, Starts, go_through};

/// A place in a room's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPosition {
    /// The place after the newest event.
    Head,
    /// The place after this event.
    Seq(Seq),
    /// The place after the last event up to this time.
    Time(Timestamp),
}

/// A room as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The last event in it.
    pub seq: Seq,
    /// That event's time, or the room's creation before the first event.
    pub time: Timestamp,
    /// The build that made it.
    pub digest: Digest,
    /// The machine's view of it, as JSON.
    pub view: Bytes,
}

/// Returns the state of a room at a place in its log.
///
/// # Errors
///
/// There is no such place, or the state cannot be rebuilt.
pub async fn state_at(logs: &Logs, record: &RoomRecord, place: LogPosition) -> Result<Moment, PastError> {
    let seq = seq_at(logs, record, place).await?;
    look_at(logs, record, seq, |StateAt { seq, time, digest, machine, state, .. }| {
        Ok(Moment { seq, time, digest, view: view::json(machine.view(state)?)? })
    })
    .await
}

/// Returns the last event before a place in the room's log, or 0 before the first event.
///
/// # Errors
///
/// The place is beyond the log's end, or before its beginning.
pub async fn seq_at(logs: &Logs, record: &RoomRecord, place: LogPosition) -> Result<Seq, PastError> {
    let begins = begin(record);
    match place {
        LogPosition::Head => Ok(record.head),
        LogPosition::Seq(asked) if asked > record.head => Err(PastError::Beyond { asked, head: record.head }),
        LogPosition::Seq(asked) if asked < begins.0 => Err(before(record)),
        LogPosition::Seq(asked) => Ok(asked),
        LogPosition::Time(time) if time >= record.time => Ok(record.head),
        LogPosition::Time(time) if time < begins.1 => Err(before(record)),
        LogPosition::Time(time) => search(logs, record, time).await,
    }
}

/// Returns the record of the room `id`.
///
/// # Errors
///
/// There is no such machine or room, or the journal fails.
pub async fn find(logs: &Logs, id: &RoomId) -> Result<RoomRecord, OpenRoomError> {
    match logs.journal.room(id).await? {
        Some(record) => Ok(record),
        None => Err(missing(logs, id).await),
    }
}

/// Returns the reason why there is no such room: it has not begun, or its machine is not deployed.
pub(super) async fn missing(logs: &Logs, id: &RoomId) -> OpenRoomError {
    match logs.machines.current(&id.machine).await {
        Ok(Some(_)) => OpenRoomError::NoSuchRoom(id.clone()),
        Ok(None) => OpenRoomError::NoSuchMachine(id.machine.clone()),
        Err(error) => error.into(),
    }
}

/// Reads a room's log from a place to its end, or to the batch that contains `upto`.
pub(super) async fn read_batches(
    logs: &Logs,
    id: &RoomId,
    from: (Seq, Chain),
    upto: Option<Seq>,
) -> Result<Vec<Batch>, OpenRoomError> {
    let mut reader = LogReader::new(&logs.journal, id, from);
    if let Some(upto) = upto {
        reader = reader.upto(upto);
    }
    let mut batches = Vec::new();
    loop {
        let portion = reader.next(READ_BYTES).await?;
        if portion.is_empty() {
            return Ok(batches);
        }
        batches.extend(portion);
    }
}

/// Returns the builds that a replay of `batches` takes. They begin under the build `first`.
pub(super) fn digests_of(first: Digest, batches: &[Batch]) -> impl Iterator<Item = Digest> {
    std::iter::once(first).chain(batches.iter().filter_map(Batch::upgrade))
}

/// A past state, with its place in the log and its machine.
pub(crate) struct StateAt<'a> {
    pub(crate) seq: Seq,
    pub(crate) time: Timestamp,
    pub(crate) digest: Digest,
    pub(crate) chain: Chain,
    pub(crate) machine: &'a mut Instance,
    pub(crate) state: &'a State,
}

/// Rebuilds the state at `seq`, which lies within the log, and calls `look` with it on a thread that may block.
pub(crate) async fn look_at<T: Send + 'static>(
    logs: &Logs,
    record: &RoomRecord,
    seq: Seq,
    look: impl FnOnce(StateAt<'_>) -> Result<T, Fault> + Send + 'static,
) -> Result<T, PastError> {
    // A replay holds its machine from its first event until it was looked at. The semaphore is never closed.
    let _place = logs.pasts.acquire().await.ok();
    let (mut replay, chain) = stand_at(logs, record, seq).await?;
    let looked = move || {
        let (seq, time, digest) = (replay.seq(), replay.time(), replay.digest());
        let (machine, state) = replay.state();
        Ok(look(StateAt { seq, time, digest, chain, machine, state })?)
    };
    logs.machines.pool().run(Lane::Replay, looked).await
}

/// A replay that starts its machines from loaded builds.
type HostReplay = Replay<Instance, Source>;

type Source = Box<dyn FnMut(Digest) -> Result<Instance, String> + Send>;

/// Returns a replay that has applied the events up to `seq`, and the chain there.
async fn stand_at(logs: &Logs, record: &RoomRecord, seq: Seq) -> Result<(HostReplay, Chain), PastError> {
    let journal = &logs.journal;
    let mut starts = Starts::new(journal, record, Some(seq));
    let mut start = starts.nearest().await.map_err(OpenRoomError::from)?;
    loop {
        let (after, chain) = start.as_ref().map_or_else(|| record.start(), |start| (start.seq, start.chain));
        let batches = read_batches(logs, &record.room, (after, chain), Some(seq)).await?;
        let first = start.as_ref().map_or(record.genesis.digest, |start| start.digest);
        let builds = logs.machines.builds(digests_of(first, &batches)).await?;
        let (from, genesis) = (start.clone(), record.genesis.clone());
        let source = Box::new(move |digest| builds.start(digest, Stack::Replaying));
        let pool = logs.machines.pool();
        let begun = pool.run(Lane::Replay, move || begin_at(source, from.as_ref(), &genesis)).await;
        let why = match begun {
            Ok(replay) => return go_to(pool, replay, chain, batches, seq).await,
            Err(why) => why,
        };
        let failed = start.as_ref().map(|start| start.seq);
        match starts.earlier(failed, &why).await.map_err(OpenRoomError::from)? {
            Some(earlier) => start = earlier,
            None => return Err(why.into()),
        }
    }
}

fn begin_at(builds: Source, start: Option<&Snapshot>, genesis: &Genesis) -> Result<HostReplay, ReplayError> {
    match start {
        Some(snapshot) => Replay::from_snapshot(builds, snapshot),
        None => Replay::from_genesis(builds, genesis),
    }
}

/// Applies the events of the batches up to `seq`. Returns the replay and the chain there.
async fn go_to(
    pool: &MachinePool,
    replay: HostReplay,
    chain: Chain,
    mut batches: Vec<Batch>,
    seq: Seq,
) -> Result<(HostReplay, Chain), PastError> {
    let is_beyond = |batch: &Batch| batch.last() > seq;
    if let Some(last) = batches.pop_if(|batch| is_beyond(batch)) {
        let before = batches.last().map_or(chain, |batch| batch.chain);
        batches.push(last.up_to(before, seq));
    }
    let chain = batches.last().map_or(chain, |batch| batch.chain);
    let replay = go_through(pool, replay, batches, |replay, step| match step {
        LogStep::Event(event) => Ok::<(), PastError>(replay.apply(event)?),
        LogStep::BatchEnd => Ok(()),
    });
    Ok((replay.await?, chain))
}

/// Returns the last event up to `time`, which lies within the log. Times never decrease, so it is a binary search.
async fn search(logs: &Logs, record: &RoomRecord, time: Timestamp) -> Result<Seq, PastError> {
    // As far as is known, the event after `low` is not later than `time`; all events after `high` are.
    let (mut low, mut high) = (begin(record).0, record.head);
    while low < high {
        let middle = Seq(low.0 + (high.0 - low.0) / 2);
        let read = logs.journal.read(&record.room, middle, 1).await.map_err(OpenRoomError::from)?;
        let Some(found) = read.into_iter().next() else { break };
        let events = Batch::read(found.expected, &found.body);
        let damaged = |damage| OpenRoomError::Damaged { room: record.room.clone(), damage };
        let events = events.map_err(damaged)?;
        match events.iter().rev().find(|event| event.time <= time) {
            Some(event) if event.seq < found.last => return Ok(event.seq),
            Some(_) => low = found.last,
            None => high = found.expected,
        }
    }
    Ok(low)
}

/// Returns the first seq with a state, and its time.
fn begin(record: &RoomRecord) -> (Seq, Timestamp) {
    record.base.as_ref().map_or((Seq(0), record.genesis.time), |base| (base.seq, base.time))
}

fn before(record: &RoomRecord) -> PastError {
    let room = record.room.clone();
    match &record.base {
        Some(base) => PastError::Before { room, begins: base.seq, time: base.time },
        None => PastError::Unborn { room, created: record.genesis.time },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reapply_journal::{NewRoom, SqliteJournal};
    use reapply_machine::Engine;
    use reapply_testing::machine_wat::MachineWat;

    use super::*;
    use crate::log::limits::PASTS_AT_ONCE;

    #[tokio::test]
    async fn a_past_takes_one_of_a_few_places_until_it_was_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Arc::new(SqliteJournal::open(directory.path()).unwrap().journal);
        let logs = Logs::new(Engine::new(None).unwrap(), journal);
        let (machine, build) = logs.machines.deploy(None, MachineWat::default().component().into()).await.unwrap();
        let room = RoomId { machine, room: "lobby".parse().unwrap() };
        let (digest, time) = (build.digest(), Timestamp(1));
        let genesis = Genesis { room: room.clone(), digest, options: String::new(), time, nonce: 1 };
        logs.journal.create_room(NewRoom::of(genesis)).await.unwrap();
        let record = find(&logs, &room).await.unwrap();
        let pasts = Arc::clone(&logs.pasts);
        let free = look_at(&logs, &record, Seq(0), move |_| Ok(pasts.available_permits())).await.unwrap();
        assert_eq!((free, logs.pasts.available_permits()), (PASTS_AT_ONCE - 1, PASTS_AT_ONCE));
    }
}
