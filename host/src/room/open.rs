//! Opens a room: from its journal, or as a new one at its first use.

use reapply_journal::{JournalError, MachineRecord, NewRoom, OpeningBytes, Retention, RoomRecord};
use reapply_machine::{Builds, Instance, Lane, MachinePool, Stack};
use reapply_sync::room::Note;
use reapply_sync::{Batch, Genesis, LogId, OpenError, ReplayError, RoomId, Sequencer, Snapshot};

use super::error::OpenRoomError;
use super::limits::{OPENED_SNAPSHOT_FACTOR, OPENED_TAIL_FACTOR, QUICK_STATE_BYTES_MAX};
use super::replay::{digests_of, missing, read_batches};
use crate::clock;
use crate::log::{Logs, Starts};

/// The rooms that are opened: existing ones, new ones, or both.
#[derive(Clone, Debug)]
pub(super) enum Begin {
    /// Only a room that has begun is opened.
    No,
    /// A new room begins with the default options.
    IfNew,
    /// Only a new room is opened, with these options.
    Only(String),
}

/// A room that was opened.
pub(super) struct Opened {
    pub(super) sequencer: Sequencer<Instance>,
    /// The note that the journal has of it.
    pub(super) noted: Note,
    /// The part of its past that it keeps.
    pub(super) retention: Retention,
    /// The room, if it is new and the journal does not have it yet.
    new: Option<NewRoom>,
}

impl Opened {
    /// Stores the room, if it is new.
    pub(super) async fn store(&mut self, logs: &Logs) -> Result<(), OpenRoomError> {
        match self.new.take() {
            Some(new) => logs.journal.create_room(new).await.map_err(|error| match error {
                JournalError::Storage(_) => OpenRoomError::NotStored(error),
                error => error.into(),
            }),
            None => Ok(()),
        }
    }
}

/// Opens the room `id`: from its newest snapshot and the events after it, or with a new log, which is still to be stored.
pub(super) async fn open(logs: &Logs, id: &RoomId, begin: Begin) -> Result<Opened, OpenRoomError> {
    let journal = &logs.journal;
    match (journal.room(id).await?, begin) {
        (Some(_), Begin::Only(_)) => Err(OpenRoomError::RoomExists(id.clone())),
        (Some(record), _) => reopen(logs, record).await,
        (None, Begin::No) => Err(missing(logs, id).await),
        (None, Begin::IfNew) => create(logs, id, String::new()).await,
        (None, Begin::Only(options)) => create(logs, id, options).await,
    }
}

/// Returns the bytes that a room is expected to take once it is open. A room that cannot be opened takes none.
pub(super) async fn expected_bytes(logs: &Logs, id: &RoomId, begin: &Begin) -> Result<usize, OpenRoomError> {
    let Logs { journal, machines, .. } = logs;
    let (digest, stored) = match journal.room(id).await? {
        Some(record) => (record.digest, journal.opening_bytes(id).await?),
        None if matches!(begin, Begin::No) => return Ok(0),
        None => match machines.current(&id.machine).await? {
            Some(machine) => (machine.digest, OpeningBytes::default()),
            None => return Ok(0),
        },
    };
    let machine = machines.build(digest).await?.map_or(0, |build| build.memory_bytes());
    let times = |bytes: u64, factor: usize| usize::try_from(bytes).unwrap_or(usize::MAX).saturating_mul(factor);
    let (snapshot, tail) = (times(stored.snapshot, OPENED_SNAPSHOT_FACTOR), times(stored.tail, OPENED_TAIL_FACTOR));
    Ok(machine.saturating_add(snapshot).saturating_add(tail))
}

async fn reopen(logs: &Logs, record: RoomRecord) -> Result<Opened, OpenRoomError> {
    let machine = logs.machines.current(&record.room.machine).await?;
    let retention = machine.map(|machine| machine.retention).unwrap_or_default();
    let mut starts = Starts::new(&logs.journal, &record, None);
    let mut start = starts.nearest().await?;
    let mut stack = Stack::Judging;
    loop {
        let seq = start.as_ref().map(|snapshot| snapshot.seq);
        let error = match open_from(logs, &record, start.clone(), stack).await {
            Ok(sequencer) => return Ok(Opened { sequencer, noted: record.note, retention, new: None }),
            Err(error) => error,
        };
        let OpenRoomError::Open { error: OpenError::Replay(why), .. } = &error else { return Err(error) };
        if stack == Stack::Judging && why.is_fault() {
            // Accepted events are not judged again, and so not by the stack for new events either.
            stack = Stack::Replaying;
            continue;
        }
        match starts.earlier(seq, why).await? {
            Some(earlier) => start = earlier,
            None => return Err(error),
        }
    }
}

/// Opens a room that has begun, from one start.
async fn open_from(
    logs: &Logs,
    record: &RoomRecord,
    start: Option<Snapshot>,
    stack: Stack,
) -> Result<Sequencer<Instance>, OpenRoomError> {
    let (seq, chain) = start.as_ref().map_or(record.start(), |snapshot| (snapshot.seq, snapshot.chain));
    let batches = read_batches(logs, &record.room, (seq, chain), None).await?;
    let first = start.as_ref().map_or(record.genesis.digest, |snapshot| snapshot.digest);
    let builds = logs.machines.builds(digests_of(first, &batches)).await?;
    let opening = Opening {
        room: record.room.clone(),
        log: record.log,
        genesis: record.genesis.clone(),
        start,
        batches,
        // Every batch is stored with the alarm after it. So an alarm that the journal does not have was tried without success.
        is_alarm_spent: record.note.alarm.is_none() && record.batch.is_some(),
    };
    opening.run(builds, stack, logs.machines.pool()).await
}

/// A room that is being opened, with everything that it takes.
struct Opening {
    room: RoomId,
    log: LogId,
    genesis: Genesis,
    start: Option<Snapshot>,
    batches: Vec<Batch>,
    is_alarm_spent: bool,
}

async fn create(logs: &Logs, id: &RoomId, options: String) -> Result<Opened, OpenRoomError> {
    let current = logs.machines.current(&id.machine).await?;
    let current = current.ok_or_else(|| OpenRoomError::NoSuchMachine(id.machine.clone()))?;
    let MachineRecord { digest, retention, .. } = current;
    let builds = logs.machines.builds([digest]).await?;
    let genesis = Genesis { room: id.clone(), digest, options, time: clock::now(), nonce: rand::random() };
    let opening = Opening {
        room: id.clone(),
        log: genesis.log_id(),
        genesis: genesis.clone(),
        start: None,
        batches: Vec::new(),
        is_alarm_spent: false,
    };
    let mut sequencer =
        opening.run(builds, Stack::Judging, logs.machines.pool()).await.map_err(|error| match error {
            OpenRoomError::Open { error: OpenError::Replay(ReplayError::Load { error, .. }), .. } => {
                OpenRoomError::OptionsRefused(error.to_string())
            }
            other => other,
        })?;
    // The note is stored with the room itself, so that the room is woken for its alarm even if the host ends now.
    let note = Note { alarm: sequencer.alarm_at(), is_occupied: false };
    let new = Some(NewRoom { note, ..NewRoom::of(genesis) });
    Ok(Opened { sequencer, noted: note, retention, new })
}

impl Opening {
    /// Replays the log, on a thread of the pool: a long log takes a while, and must not hold up sockets.
    async fn run(self, builds: Builds, stack: Stack, pool: &MachinePool) -> Result<Sequencer<Instance>, OpenRoomError> {
        let Self { room, log, genesis, start, batches, is_alarm_spent } = self;
        let log_bytes: usize = batches.iter().map(|batch| batch.body.len()).sum();
        let bytes = start.as_ref().map_or(0, |start| start.state.len()) + log_bytes;
        let lane = if bytes > QUICK_STATE_BYTES_MAX { Lane::Slow } else { Lane::Quick };
        let open = move || {
            let opened = Sequencer::open(|digest| builds.start(digest, stack), log, genesis, start, batches);
            let mut sequencer = opened.map_err(|error| OpenRoomError::Open { room, error })?;
            if is_alarm_spent {
                sequencer.spend_alarm();
            } else {
                // Asks the machine for it here, where no socket waits.
                sequencer.alarm_at();
            }
            Ok(sequencer)
        };
        pool.run(lane, open).await
    }
}
