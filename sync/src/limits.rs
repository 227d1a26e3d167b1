//! Every bound of the protocol, by name. Whoever reaches one gets an error that quotes it.

/// Maximum bytes of one encoded transition.
pub const TRANSITION_BYTES_MAX: usize = 64 * 1024;

/// Maximum bytes of one message from a client: a transition with its envelope.
pub const CLIENT_MESSAGE_BYTES_MAX: usize = TRANSITION_BYTES_MAX + 256;

/// Maximum bytes of one signal. Signals are for cursors and typing marks, not for data.
pub const SIGNAL_BYTES_MAX: usize = 1024;

/// Bytes of events after which an `Events` message is full and another is begun. One larger event is still sent whole. A reader on a slow line
/// takes each message for a sign of life, so no message may take long to arrive.
pub const EVENTS_MESSAGE_BYTES: usize = 32 * 1024;

/// Bytes of events that a session reads from a room's history at a time. One larger event is still sent whole.
pub const EVENTS_READ_BYTES: usize = 256 * 1024;

/// Maximum bytes of one snapshot: as stored, as sent to a joining replica, and as a replica keeps of one that is still arriving.
pub const SNAPSHOT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of the parts in which a larger snapshot is sent. The reason is given at [`EVENTS_MESSAGE_BYTES`].
pub const SNAPSHOT_PART_BYTES: usize = 32 * 1024;

/// The bound on the events after a snapshot that replicas have begun to receive, as a multiple of the snapshot's size. The snapshot is kept for
/// them, though there is a newer one, until these events outgrow both this bound and [`READERS_TAIL_BYTES_MIN`]. Those replicas then begin again
/// with the newest one.
pub const SNAPSHOT_BEGUN_TAIL_RATIO: usize = 4;

/// Maximum number of snapshots that a room keeps for replicas that have begun to receive them.
pub const SNAPSHOTS_BEGUN_MAX: usize = 3;

/// Maximum bytes of a room's creation options, as JSON.
pub const OPTIONS_BYTES_MAX: usize = 16 * 1024;

/// Maximum number of transitions that one replica may hold pending (offline, or not yet answered).
pub const PENDING_MAX: usize = 10_000;

/// The number of pending transitions up to which a replica applies all of them again after each change. See [`REBASE_PER_CHANGE`].
pub const REBASE_ALWAYS_MAX: usize = 64;

/// Maximum number of pending transitions that a replica applies again for each event and each decision. With more pending than
/// [`REBASE_ALWAYS_MAX`], it waits until enough changes have come.
pub const REBASE_PER_CHANGE: usize = 8;

/// Maximum bytes of the transitions that one replica may hold pending.
pub const PENDING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Maximum bytes of frames that a replica keeps while its machine is being loaded. Frames beyond it are asked for again.
pub const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Maximum number of characters of a machine's or room's name.
pub const NAME_CHARS_MAX: usize = 64;

/// Bytes of records in one part of a room's past. One larger record is still sent whole.
pub const PAST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Maximum number of clients with accepted transitions that a room remembers. Beyond it, the client that was silent for longest is forgotten. A
/// client with a session is never forgotten, so a room with more sessions remembers more. When a forgotten client comes back, transitions that
/// it may have sent before are not sent again: their outcome is unknown, but nothing is ever applied twice.
pub const CLIENTS_REMEMBERED_MAX: usize = 10_000;

/// Maximum number of clients that were only ever rejected and that a room remembers, to repeat the rejections. They take no places of those in
/// [`CLIENTS_REMEMBERED_MAX`]: forgetting one cannot double a transition.
pub const CLIENTS_REJECTED_MAX: usize = 10_000;

/// Microseconds of the room's time for which a client without a session is remembered after its last accepted transition: 90 days. See
/// [`CLIENTS_REMEMBERED_MAX`].
pub const CLIENT_REMEMBERED_MICROS: u64 = 90 * 24 * 60 * 60 * 1_000_000;

/// The most by which one round of forgetting raises the number above which forgotten clients begin. A client's number that is even higher is
/// left out: a client that names such numbers does not count up, and must not use up the numbers of those that do.
pub const FORGOTTEN_NUMBERS_STEP_MAX: u64 = 1 << 32;

/// The last number of a client, and the last event of a room. Both stay exact in JavaScript, which loses precision above 2^53.
pub const COUNT_MAX: u64 = (1 << 53) - 1;

/// Maximum number of events of a log with which a room still opens. Up to [`COUNT_MAX`], that leaves more events than a room can decide before
/// it is opened again.
pub const LOG_EVENTS_MAX: u64 = COUNT_MAX - (1 << 48);

/// Maximum number of rejections that a room remembers for each client, to repeat them after a lost connection.
pub const REJECTIONS_REMEMBERED_MAX: usize = 32;

/// Maximum bytes of reasons that a room remembers for all clients together. Beyond it a rejection is repeated without its reason.
pub const REASONS_REMEMBERED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Maximum number of rejections that a room holds back until the events that they depend on are durable. Beyond it the room takes in no more
/// for a while.
pub const REJECTIONS_HELD_MAX: usize = 4096;

/// Maximum number of participants that a presence message names. The count is exact beyond it.
pub const PARTICIPANTS_NAMED_MAX: usize = 64;

/// The minimum bytes of events after a snapshot before the room takes another (and sends a checkpoint). The events must also outgrow
/// [`SNAPSHOT_TAIL_RATIO`] times that snapshot. So recovery stays quick, and the work stays in proportion to the log.
pub const SNAPSHOT_TAIL_BYTES_MIN: usize = 32 * 1024;

/// See [`SNAPSHOT_TAIL_BYTES_MIN`].
pub const SNAPSHOT_TAIL_RATIO: usize = 2;

/// The events that outgrow a snapshot must also have cost this many times as much as the snapshot, before the room takes another one: writing it, and
/// restoring it on trial, which costs several times as much. So under load a room spends most of its time on events.
pub const SNAPSHOT_COST_RATIO: u64 = 16;

/// Events that are this many times as large as the snapshot call for another one, whatever it costs.
pub const SNAPSHOT_TAIL_RATIO_MAX: usize = 8;

/// Bytes of events since the last snapshot up to which a room takes no other when it falls asleep. If that snapshot is larger, the bound is its
/// size. So a room that sleeps after each change stores no more snapshots than its log is worth, and still wakes quickly.
pub const SLEEP_TAIL_BYTES_MIN: usize = 16 * 1024;

/// The cost of events after a snapshot, as [`Machine::take_cost`](crate::Machine::take_cost) counts, beyond which the next snapshot is
/// due: some hundred milliseconds. So a recovery after a fault is never expensive, however few bytes the events have. If restoring the snapshot
/// is itself expensive, the bound is [`TAIL_COST_RATIO`] times that cost.
pub const TAIL_COST_MIN: u64 = 200_000_000;

/// See [`TAIL_COST_MIN`].
pub const TAIL_COST_RATIO: u64 = 2;

/// The maximum cost of a call that any thread may make: less than half a millisecond.
pub const COST_CHEAP_MAX: u64 = 500_000;

/// The number of cheap calls in a row after which the next call of a machine is assumed to be cheap, at first. Each expensive call doubles the
/// number, up to [`CALM_CALLS_MAX`].
pub const CALM_CALLS_MIN: u32 = 4;

/// See [`CALM_CALLS_MIN`].
pub const CALM_CALLS_MAX: u32 = 4096;

/// Bytes of events after its last snapshot with which a room takes no more transitions. Only a room that cannot take a snapshot comes that far.
/// With a large snapshot the bound is [`OVERFULL_TAIL_RATIO`] times its size.
pub const OVERFULL_TAIL_BYTES_MIN: usize = 32 * 1024 * 1024;

/// See [`OVERFULL_TAIL_BYTES_MIN`].
pub const OVERFULL_TAIL_RATIO: usize = 4;

/// Maximum number of events in one batch. A room that has more waiting appends them in the next.
pub const BATCH_EVENTS_MAX: usize = 4096;

/// Bytes of events after which a batch is closed.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// The minimum bytes of events that a room keeps in memory for its sessions to read at their own pace. It is more than a batch, so that a
/// snapshot that follows a batch cuts off no session that keeps up.
pub const READERS_TAIL_BYTES_MIN: usize = 2 * BATCH_BYTES_MAX;

/// The bounds of one room's memory. A host uses the defaults, which are the constants of the same names. Tests use smaller ones, to reach in
/// seconds situations that would otherwise take months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See [`CLIENTS_REMEMBERED_MAX`].
    pub clients_remembered_max: usize,
    /// See [`CLIENTS_REJECTED_MAX`].
    pub clients_rejected_max: usize,
    /// See [`CLIENT_REMEMBERED_MICROS`].
    pub client_remembered_micros: u64,
    /// See [`REJECTIONS_REMEMBERED_MAX`].
    pub rejections_remembered_max: usize,
    /// See [`REASONS_REMEMBERED_BYTES_MAX`].
    pub reasons_remembered_bytes_max: usize,
    /// See [`REJECTIONS_HELD_MAX`].
    pub rejections_held_max: usize,
    /// See [`BATCH_EVENTS_MAX`].
    pub batch_events_max: usize,
    /// See [`BATCH_BYTES_MAX`].
    pub batch_bytes_max: usize,
    /// See [`READERS_TAIL_BYTES_MIN`].
    pub readers_tail_bytes_min: usize,
    /// See [`SNAPSHOT_BYTES_MAX`].
    pub snapshot_bytes_max: usize,
    /// See [`ROOM_SESSIONS_MAX`](crate::room::limits::ROOM_SESSIONS_MAX).
    pub room_sessions_max: usize,
    /// See [`TAIL_COST_MIN`].
    pub tail_cost_min: u64,
    /// See [`SNAPSHOT_PART_BYTES`].
    pub snapshot_part_bytes: usize,
    /// See [`EVENTS_READ_BYTES`].
    pub events_read_bytes: usize,
    /// See [`OVERFULL_TAIL_BYTES_MIN`].
    pub overfull_tail_bytes_min: usize,
    /// See [`SLEEP_TAIL_BYTES_MIN`].
    pub sleep_tail_bytes_min: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients_remembered_max: CLIENTS_REMEMBERED_MAX,
            clients_rejected_max: CLIENTS_REJECTED_MAX,
            client_remembered_micros: CLIENT_REMEMBERED_MICROS,
            rejections_remembered_max: REJECTIONS_REMEMBERED_MAX,
            reasons_remembered_bytes_max: REASONS_REMEMBERED_BYTES_MAX,
            rejections_held_max: REJECTIONS_HELD_MAX,
            batch_events_max: BATCH_EVENTS_MAX,
            batch_bytes_max: BATCH_BYTES_MAX,
            readers_tail_bytes_min: READERS_TAIL_BYTES_MIN,
            snapshot_bytes_max: SNAPSHOT_BYTES_MAX,
            room_sessions_max: crate::room::limits::ROOM_SESSIONS_MAX,
            tail_cost_min: TAIL_COST_MIN,
            snapshot_part_bytes: SNAPSHOT_PART_BYTES,
            events_read_bytes: EVENTS_READ_BYTES,
            overfull_tail_bytes_min: OVERFULL_TAIL_BYTES_MIN,
            sleep_tail_bytes_min: SLEEP_TAIL_BYTES_MIN,
        }
    }
}
