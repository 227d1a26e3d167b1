//! The bounds on rooms and sessions, by name.

use std::time::Duration;

/// The bytes that a room is expected to take for each byte of the snapshot that it is opened from: the snapshot itself, its copy in the machine's
/// memory, and the state that the machine restores from it.
pub const OPENED_SNAPSHOT_FACTOR: usize = 3;

/// The bytes that a room is expected to take for each byte of the events after that snapshot: the history, and the events while they are applied.
pub const OPENED_TAIL_FACTOR: usize = 2;

/// Rooms that are awake at once.
pub const ROOMS_AWAKE_MAX: usize = 10_000;

/// Bytes that every room that is awake takes besides its machine's memory, its history and what waits for it: its task, its queues and its store.
pub const ROOM_BYTES: usize = 32 * 1024;

/// The maximum time for which a room that is woken waits for the memory of others: once for its place, once before each try to open it, and once
/// after that.
pub const MAKE_SPACE_WITHIN: Duration = Duration::from_secs(5);

/// Newcomers that look for space in memory at the same time. Further ones wait until one of these has found it, or was refused.
pub const MAKE_SPACE_AT_ONCE: usize = 8;

/// The maximum time until a newcomer that waits for space looks again whether rooms have become unused.
pub const SPACE_LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The maximum time for which a room that nobody uses does not fall asleep early because somebody has a handle to it and is about to use it.
pub const HANDLE_USED_WITHIN: Duration = Duration::from_secs(1);

/// The number of times that a room is opened for one request if it turns out to need more memory than there is.
pub const OPEN_TRIES_MAX: usize = 2;

/// The minimum interval between two looks for unused rooms while rooms hold more than the host's memory for them.
pub const MAKE_SPACE_INTERVAL: Duration = Duration::from_millis(100);

/// The maximum number of rooms that were refused for lack of memory and whose needs are remembered, so that they are not opened again without success.
pub const NEEDS_REMEMBERED_MAX: usize = 10_000;

/// Time for which a room's need is remembered. Then the room is opened once more, since what it takes may have changed.
pub const NEED_REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// Messages that wait to be decided by one room; one message may have several transitions of a session. Beyond it, a session waits, and a request
/// over HTTP is refused with "try again later".
pub const ROOM_INBOX_MAX: usize = 4_096;

/// Bytes of those messages, with [`ROOM_MESSAGE_BYTES`] for each transition. The same happens beyond it.
pub const ROOM_INBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Approximate bytes of memory that each waiting transition takes besides its own bytes.
pub const ROOM_MESSAGE_BYTES: usize = 256;

/// Messages to one room that do not wait behind transitions: sessions that begin and end, signals, views. Beyond it, the sender waits.
pub const ROOM_CONTROLS_MAX: usize = 1_024;

/// Maximum number of these messages that are handled in a row while a transition waits.
pub const CONTROLS_IN_A_ROW_MAX: usize = 64;

/// Bytes of views of newest states that all rooms of the host keep together. A view that does not fit is made again for each request.
pub const VIEWS_KEPT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The unit in which that memory is counted, in bytes.
pub const VIEW_UNIT_BYTES: usize = 1024;

/// Messages to one session besides the room's events (rejections, signals). A session that falls further behind is ended as too slow.
pub const SESSION_QUEUE_MAX: usize = 1_024;

/// Signals that one session may send in a second. Further ones are dropped, since the next signal replaces them anyway.
pub const SIGNALS_PER_SECOND_MAX: u32 = 60;

/// Minimum time without use after which a room goes to sleep. It bounds how often a room checks that.
pub const SLEEP_AFTER_MIN: Duration = Duration::from_millis(10);

/// Maximum time of a room's turn on a shared thread. The rest of the turn's work moves to a thread that runs machines.
pub const TURN_MAX: Duration = Duration::from_millis(2);

/// Maximum time of a room's turn in all. The remaining commands wait until the room has stored and sent its results so far.
pub const SLOW_TURN_MAX: Duration = Duration::from_millis(50);

/// Maximum size of a state, in bytes, that a turn may write, restore or show in the lane for quick turns.
pub const QUICK_STATE_BYTES_MAX: usize = 256 * 1024;

/// Approximate time of a room's turns within a second up to which its next turn goes into the lane for quick turns.
pub const QUICK_TURNS_MAX: Duration = Duration::from_millis(50);

/// Maximum time that a room which was woken for its alarm keeps its place among those that are being woken. By then it is awake, and handles its
/// alarm itself.
pub const ALARM_RINGS_MAX: Duration = Duration::from_secs(10);

/// Bytes of events read from the journal at a time.
pub const READ_BYTES: usize = 4 * 1024 * 1024;

/// Rooms that are woken for their alarms at the same time. After a long pause of the host, thousands of alarms may be due at once.
pub const ALARMS_AT_ONCE: usize = 16;

/// Number of awake rooms from which on alarms wake no more rooms. The remaining places are for people.
pub const ROOMS_AWAKE_FOR_ALARMS_MAX: usize = ROOMS_AWAKE_MAX / 2;

/// Interval at which alarms are looked for without a notification, for example because the clock was set.
pub const ALARMS_LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Time from a failed attempt to wake a room for its alarm until the next one.
pub const ALARM_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Alarms for which rooms were woken and which the journal still lists. Beyond it, no more rooms are woken until some are settled.
pub const ALARMS_RUNG_MAX: usize = 10_000;

/// Rooms that are woken at the same time so that participants who were present when the host ended leave.
pub const ABSENT_AT_ONCE: usize = 8;

/// Interval between two searches for such rooms.
pub const ABSENT_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Such rooms that do not open and are reported to the operator, each once.
pub const ABSENT_TOLD_MAX: usize = 1_000;

/// Time for which a room that did not open, or broke, is not opened again. Requests for it are answered with the cause meanwhile.
pub const TROUBLE_RETRY_AFTER: Duration = Duration::from_secs(10);

/// Troubles of rooms that a host remembers. Beyond it the oldest is forgotten, and is reported again if it still exists.
pub const TROUBLES_MAX: usize = 1_000;

/// Counts of rejections, by author and kind, that a room keeps until it passes them to the journal.
pub const TALLY_COUNTS_MAX: usize = 1_000;

/// Maximum time until the counts of rejections are passed to the journal.
pub const TALLY_INTERVAL: Duration = Duration::from_secs(5);

/// Rooms that are read from the journal at a time, when all are needed.
pub const ROOMS_READ_MAX: usize = 1_000;

/// Rooms that wait for their logs to be trimmed.
pub const TRIM_QUEUE_MAX: usize = 10_000;

/// Rooms whose logs are proved and trimmed at the same time.
pub const TRIMS_AT_ONCE: usize = 4;

/// Number of a room's newest snapshots that are searched for one with a checkpoint. Snapshots that earlier versions took before a room's sleep
/// have none.
pub const TRIM_CANDIDATES_MAX: usize = 16;
