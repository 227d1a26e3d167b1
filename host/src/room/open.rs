//! Brings a room to life: from its journal, or anew with its first use.

use std::sync::Arc;

use reapply_sync::{
    Batch, Chain, Digest, Fault, Genesis, LogId, OpenError, ReplayError, RoomId, Seq, Sequencer, Snapshot, Timestamp,
};

use super::limits::{QUICK_STATE_BYTES_MAX, READ_BYTES};
use super::replay::missing;
use super::starts::Starts;
use crate::clock;
use crate::journal::{Journal, JournalError, MachineRecord, NewRoom, Retention, RoomRecord};
use crate::machine::{Builds, Instance, Lane, MachinePool, Machines, MachinesError, Stack};

/// Why a room could not be brought to life.
#[derive(Debug, thiserror::Error)]
pub enum OpenRoomError {
    /// There is no machine of that name, so there is no such room either.
    #[error("there is no machine {0}; deploy it first: reapply deploy DIR")]
    NoSuchMachine(reapply_sync::Name),
    /// A room that must be there already is not.
    #[error("there is no room {0}; it begins when someone connects to it")]
    NoSuchRoom(RoomId),
    /// A room that must not be there yet is.
    #[error("the room {0} exists already")]
    RoomExists(RoomId),
    /// The machine refuses the options of a new room.
    #[error("the machine refuses these options: {0}")]
    OptionsRefused(String),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The machine is not to be had.
    #[error(transparent)]
    Machines(#[from] MachinesError),
    /// The machine did not start.
    #[error("the machine did not start: {0}")]
    Start(#[from] Fault),
    /// The room's state could not be made again from its log.
    #[error("the room {room} could not be opened: {error}")]
    Open {
        /// The room.
        room: RoomId,
        /// Why.
        error: OpenError,
    },
    /// The log is damaged.
    #[error("the log of {room} is damaged: {damage}")]
    Damaged {
        /// The room.
        room: RoomId,
        /// Where, and how.
        damage: reapply_sync::event::Damage,
    },
}

/// How to treat a room that has not begun yet, or has.
#[derive(Clone, Debug)]
pub(super) enum Begin {
    /// Only a room that has begun is opened.
    No,
    /// A new room begins with the default options.
    IfNew,
    /// Only a new room is opened, with these options.
    Only(String),
}

/// A room that was brought to life.
pub(super) struct Opened {
    pub(super) sequencer: Sequencer<Instance>,
    /// When its alarm is due, as the journal has it.
    pub(super) noted_alarm: Option<Timestamp>,
    /// How much of its past it keeps.
    pub(super) retention: Retention,
}

/// Opens the room `id`: from its newest snapshot and the events after it, or with a new log.
pub(super) async fn open(machines: &Machines, id: &RoomId, begin: Begin) -> Result<Opened, OpenRoomError> {
    let journal = machines.journal();
    match (journal.room(id).await?, begin) {
        (Some(_), Begin::Only(_)) => Err(OpenRoomError::RoomExists(id.clone())),
        (Some(record), _) => reopen(machines, record).await,
        (None, Begin::No) => Err(missing(machines, id).await),
        (None, Begin::IfNew) => create(machines, id, String::new()).await,
        (None, Begin::Only(options)) => create(machines, id, options).await,
    }
}

/// A room's whole log, or the part of it after a snapshot: at most to `upto`, proven against the chain.
pub(super) async fn read_batches(
    journal: &Arc<dyn Journal>,
    id: &RoomId,
    mut after: Seq,
    mut chain: Chain,
    upto: Option<Seq>,
) -> Result<Vec<Batch>, OpenRoomError> {
    let mut batches = Vec::new();
    loop {
        let records = journal.read(id, after, READ_BYTES).await?;
        if records.is_empty() || upto.is_some_and(|upto| upto <= after) {
            return Ok(batches);
        }
        for record in records {
            let batch = record.decode(chain).map_err(|damage| OpenRoomError::Damaged { room: id.clone(), damage })?;
            (after, chain) = (batch.last(), batch.chain);
            batches.push(batch);
        }
    }
}

async fn reopen(machines: &Machines, record: RoomRecord) -> Result<Opened, OpenRoomError> {
    let machine = machines.current(&record.room.machine).await?;
    let retention = machine.map(|machine| machine.retention).unwrap_or_default();
    let mut starts = Starts::new(machines.journal(), &record, None);
    let mut start = starts.nearest().await?;
    let mut stack = Stack::Judging;
    loop {
        let seq = start.as_ref().map(|snapshot| snapshot.seq);
        let error = match open_from(machines, &record, start.clone(), stack).await {
            Ok(sequencer) => return Ok(Opened { sequencer, noted_alarm: record.alarm, retention }),
            Err(error) => error,
        };
        let OpenRoomError::Open { error: OpenError::Replay(why), .. } = &error else { return Err(error) };
        if stack == Stack::Judging && why.is_fault() {
            // What was accepted is not judged again: not by the stack that judges new events either.
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
    machines: &Machines,
    record: &RoomRecord,
    start: Option<Snapshot>,
    stack: Stack,
) -> Result<Sequencer<Instance>, OpenRoomError> {
    let (seq, chain) = start.as_ref().map_or(record.start(), |snapshot| (snapshot.seq, snapshot.chain));
    let batches = read_batches(machines.journal(), &record.room, seq, chain, None).await?;
    let first = start.as_ref().map_or(record.genesis.digest, |snapshot| snapshot.digest);
    let builds = machines.builds(digests_of(first, &batches)).await?;
    let opening = Opening {
        room: record.room.clone(),
        log: record.log,
        genesis: record.genesis.clone(),
        start,
        batches,
        // An alarm that the journal does not know of was tried in vain: every batch is stored with the alarm after it.
        is_alarm_spent: record.alarm.is_none() && record.batch.is_some(),
    };
    opening.run(builds, stack, machines.pool()).await
}

/// A room on its way up.
struct Opening {
    room: RoomId,
    log: LogId,
    genesis: Genesis,
    start: Option<Snapshot>,
    batches: Vec<Batch>,
    is_alarm_spent: bool,
}

/// The builds that going through `batches` takes, which begin under the build `first`.
pub(super) fn digests_of(first: Digest, batches: &[Batch]) -> impl Iterator<Item = Digest> {
    std::iter::once(first).chain(batches.iter().filter_map(Batch::upgrade))
}

async fn create(machines: &Machines, id: &RoomId, options: String) -> Result<Opened, OpenRoomError> {
    let current = machines.current(&id.machine).await?;
    let current = current.ok_or_else(|| OpenRoomError::NoSuchMachine(id.machine.clone()))?;
    let MachineRecord { digest, retention, .. } = current;
    let builds = machines.builds([digest]).await?;
    let genesis = Genesis { room: id.clone(), digest, options, time: clock::now(), nonce: rand::random() };
    let opening = Opening {
        room: id.clone(),
        log: genesis.log_id(),
        genesis: genesis.clone(),
        start: None,
        batches: Vec::new(),
        is_alarm_spent: false,
    };
    let mut sequencer = opening.run(builds, Stack::Judging, machines.pool()).await.map_err(|error| match error {
        OpenRoomError::Open { error: OpenError::Replay(ReplayError::Load { error, .. }), .. } => {
            OpenRoomError::OptionsRefused(error.to_string())
        }
        other => other,
    })?;
    // With the room itself: should the host end now, it is woken for it all the same.
    let alarm = sequencer.alarm_at();
    machines.journal().create_room(NewRoom { alarm, ..NewRoom::of(genesis) }).await?;
    Ok(Opened { sequencer, noted_alarm: alarm, retention })
}

impl Opening {
    /// A long log takes a while to replay, so this is done away from the threads that serve sockets.
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
                // The machine is asked for it here, and not where sockets wait.
                sequencer.alarm_at();
            }
            Ok(sequencer)
        };
        pool.run(lane, open).await
    }
}
