//! Every bound of the protocol, by name. Reaching one gives the one who caused it an error that quotes it.

/// Bytes of one encoded transition.
pub const TRANSITION_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one message from a client: a transition with its envelope.
pub const CLIENT_MESSAGE_BYTES_MAX: usize = TRANSITION_BYTES_MAX + 256;

/// Bytes of one signal. Signals are for cursors and typing marks, not for data.
pub const SIGNAL_BYTES_MAX: usize = 1024;

/// Bytes of events that go into one `Events` message before another is begun. One larger event still goes whole. A reader on a slow line
/// takes each message for a sign of life, so none may be long on its way.
pub const EVENTS_MESSAGE_BYTES: usize = 32 * 1024;

/// Bytes of events that a session reads from a room's history at a time. One larger event still goes whole.
pub const EVENTS_READ_BYTES: usize = 256 * 1024;

/// Bytes of one snapshot, as stored, as sent to a joining replica, and as a replica keeps of one that has not arrived wholly.
pub const SNAPSHOT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of the parts in which a larger snapshot is sent, for the reason given at [`EVENTS_MESSAGE_BYTES`].
pub const SNAPSHOT_PART_BYTES: usize = 32 * 1024;

/// A snapshot that replicas have begun to receive is kept for them, though there is a newer one, until the events after it outgrow both
/// this many times its own size and [`READERS_TAIL_BYTES_MIN`]. Those replicas then begin anew, with the newest.
pub const SNAPSHOT_BEGUN_TAIL_RATIO: usize = 4;

/// Snapshots that a room keeps for replicas that have begun to receive them.
pub const SNAPSHOTS_BEGUN_MAX: usize = 3;

/// Bytes of a room's creation options, as JSON.
pub const OPTIONS_BYTES_MAX: usize = 16 * 1024;

/// Transitions that one replica may hold pending (offline, or not yet answered).
pub const PENDING_MAX: usize = 10_000;

/// Pending transitions up to which a replica applies all of them again after each change. See [`REBASE_PER_CHANGE`].
pub const REBASE_ALWAYS_MAX: usize = 64;

/// Pending transitions that a replica applies again for each event and each decision, at most. With more pending than [`REBASE_ALWAYS_MAX`] it
/// waits until so many have come.
pub const REBASE_PER_CHANGE: usize = 8;

/// Bytes of the transitions that one replica may hold pending.
pub const PENDING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of frames that a replica keeps while its machine is being loaded; what comes beyond it is asked for again.
pub const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Characters of a machine's or room's name.
pub const NAME_CHARS_MAX: usize = 64;

/// Bytes of records in one part of a room's past. One larger record still goes whole.
pub const PAST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Clients with accepted transitions that a room remembers; beyond it the one that was silent for longest is forgotten. A client with a
/// session is never forgotten, so a room with more sessions remembers more. When a forgotten client comes back, what it may have sent
/// before is not sent again: its outcome is unknown, but nothing is ever applied twice.
pub const CLIENTS_REMEMBERED_MAX: usize = 10_000;

/// Clients that were only ever rejected and that a room remembers, to repeat that. They take no places of those in
/// [`CLIENTS_REMEMBERED_MAX`]: forgetting one can double nothing.
pub const CLIENTS_REJECTED_MAX: usize = 10_000;

/// Microseconds of the room's time for which a client without a session is remembered after its last accepted transition: 90 days. See
/// [`CLIENTS_REMEMBERED_MAX`].
pub const CLIENT_REMEMBERED_MICROS: u64 = 90 * 24 * 60 * 60 * 1_000_000;

/// How far one round of forgetting raises the number that forgotten clients begin above. A client's number that is higher yet is
/// left out: whoever names such numbers does not count, and must not use up the numbers of those who do.
pub const FORGOTTEN_NUMBERS_STEP_MAX: u64 = 1 << 32;

/// The last number of a client, and the last event of a room: both stay exact in JavaScript, which loses what is above 2^53.
pub const COUNT_MAX: u64 = (1 << 53) - 1;

/// Events of a log with which a room still opens. More than a room can decide before it is opened again are left up to [`COUNT_MAX`].
pub const LOG_EVENTS_MAX: u64 = COUNT_MAX - (1 << 48);

/// Rejections that a room remembers for each client, to repeat them after a lost connection.
pub const REJECTIONS_REMEMBERED_MAX: usize = 32;

/// Bytes of reasons that a room remembers for all clients together. Beyond it a rejection is repeated without its reason.
pub const REASONS_REMEMBERED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Rejections that a room holds back until what they rest on is durable. Beyond it the room takes in no more for a while.
pub const REJECTIONS_HELD_MAX: usize = 4096;

/// Participants that a presence message names; the count is exact beyond it.
pub const PARTICIPANTS_NAMED_MAX: usize = 64;

/// A room takes a snapshot (and sends a checkpoint) when the events since the last one outgrow both this and
/// [`SNAPSHOT_TAIL_RATIO`] times that snapshot: recovery stays quick and the work stays in proportion to the log.
pub const SNAPSHOT_TAIL_BYTES_MIN: usize = 32 * 1024;

/// See [`SNAPSHOT_TAIL_BYTES_MIN`].
pub const SNAPSHOT_TAIL_RATIO: usize = 2;

/// Bytes of events since the last snapshot up to which a room takes none when it falls asleep. Where that snapshot is larger, it is the snapshot's
/// size: a room that sleeps after each change stores no more snapshots than its log is worth, and still wakes quickly.
pub const SLEEP_TAIL_BYTES_MIN: usize = 16 * 1024;

/// The cost of events after a snapshot, as [`Machine::take_cost`](crate::Machine::take_cost) counts, beyond which the next snapshot is due: some
/// hundred milliseconds. So making the last good state again after a fault is never dear, however few bytes the events have. Where restoring the
/// snapshot costs much itself, the bound is [`TAIL_COST_RATIO`] times that.
pub const TAIL_COST_MIN: u64 = 200_000_000;

/// See [`TAIL_COST_MIN`].
pub const TAIL_COST_RATIO: u64 = 2;

/// The cost of a call that any thread may make: less than half a millisecond.
pub const COST_CHEAP_MAX: u64 = 500_000;

/// Cheap calls in a row after which the next call of a machine is taken for cheap, at first. Each dear call doubles the number, up to
/// [`CALM_CALLS_MAX`].
pub const CALM_CALLS_MIN: u32 = 4;

/// See [`CALM_CALLS_MIN`].
pub const CALM_CALLS_MAX: u32 = 4096;

/// Bytes of events after its last snapshot with which a room takes no more transitions: only one that cannot take a snapshot comes that
/// far. With a large snapshot it is [`OVERFULL_TAIL_RATIO`] times that.
pub const OVERFULL_TAIL_BYTES_MIN: usize = 32 * 1024 * 1024;

/// See [`OVERFULL_TAIL_BYTES_MIN`].
pub const OVERFULL_TAIL_RATIO: usize = 4;

/// Events in one batch. A room that has more waiting appends them in the next.
pub const BATCH_EVENTS_MAX: usize = 4096;

/// Bytes of events after which a batch is closed.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of events that a room keeps in memory, at least, for its sessions to read at their own pace. More than a batch, so that
/// a snapshot that follows one cuts off nobody who keeps up.
pub const READERS_TAIL_BYTES_MIN: usize = 2 * BATCH_BYTES_MAX;

/// The bounds of one room's memory. A host uses the defaults, which are the constants of the same names; tests use smaller ones, to come
/// upon in seconds what else takes months.
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
