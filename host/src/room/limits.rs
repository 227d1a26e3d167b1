//! Every bound on rooms and sessions, by name.

use std::time::Duration;

/// Rooms that are awake at once.
pub const ROOMS_AWAKE_MAX: usize = 10_000;

/// Messages that wait to be decided by one room. Whoever sends more waits, or (over HTTP) is told to come again.
pub const ROOM_INBOX_MAX: usize = 4_096;

/// Bytes of those messages. Whoever sends more waits, or is told the same.
pub const ROOM_INBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that a message takes besides its transition, about.
pub const ROOM_MESSAGE_BYTES: usize = 256;

/// Messages to one room that do not wait behind those to be decided: sessions that begin and end, signals, views. Whoever sends more waits.
pub const ROOM_CONTROLS_MAX: usize = 1_024;

/// So many of them are handled in a row, at most, while a transition waits.
pub const CONTROLS_IN_A_ROW_MAX: usize = 64;

/// Bytes of views of newest states that all rooms of the host keep together. A view beyond that is made again for the next who asks.
pub const VIEWS_KEPT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes in which that memory is counted.
pub const VIEW_UNIT_BYTES: usize = 1024;

/// Messages to one session besides the room's events (rejections, signals). A session that lets more pile up is ended as too slow.
pub const SESSION_QUEUE_MAX: usize = 1_024;

/// Signals that one session may send in a second; what is above is dropped, since the next one replaces it anyway.
pub const SIGNALS_PER_SECOND_MAX: u32 = 60;

/// A room looks so seldom, at most, whether it may go to sleep.
pub const SLEEP_AFTER_MIN: Duration = Duration::from_millis(10);

/// How long one turn of a room may take on a shared thread. Beyond it, the room's further work of that turn moves to a thread that runs machines.
pub const TURN_MAX: Duration = Duration::from_millis(2);

/// How long one turn of a room may take in all. What is left waits until the room has stored and told what it has.
pub const SLOW_TURN_MAX: Duration = Duration::from_millis(50);

/// Bytes of a state that a room's turn may write, restore or show in the lane for quick turns.
pub const QUICK_STATE_BYTES_MAX: usize = 256 * 1024;

/// How long a room's turns may take of a second, about, for its next one to go into the lane for quick turns.
pub const QUICK_TURNS_MAX: Duration = Duration::from_millis(50);

/// How long a room that was woken for its alarm holds one of the places for that. It is awake by then, and looks after itself.
pub const ALARM_RINGS_MAX: Duration = Duration::from_secs(10);

/// Bytes of events read from the journal at a time.
pub const READ_BYTES: usize = 4 * 1024 * 1024;

/// Rooms that are woken for their alarms at the same time: after a long rest of the host, thousands may be due at once.
pub const ALARMS_AT_ONCE: usize = 16;

/// Rooms that may be awake for alarms to wake more. The rest is for people.
pub const ROOMS_AWAKE_FOR_ALARMS_MAX: usize = ROOMS_AWAKE_MAX / 2;

/// How long it may take until an alarm is noticed that nobody told of, because the clock was set for example.
pub const ALARMS_LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How long after a room could not be woken for its alarm that is tried again.
pub const ALARM_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Alarms that rooms were woken for and that the journal still tells of. Beyond it no more are tried until some are settled.
pub const ALARMS_RUNG_MAX: usize = 10_000;

/// Rooms that are woken at the same time so that whoever was present when the host ended leaves.
pub const ABSENT_AT_ONCE: usize = 8;

/// How long after a look for such rooms the next one may follow.
pub const ABSENT_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Such rooms that do not open and are told to the operator, each once.
pub const ABSENT_TOLD_MAX: usize = 1_000;

/// How long a room that did not open, or broke, is not opened again. Meanwhile whoever asks for it hears why.
pub const TROUBLE_RETRY_AFTER: Duration = Duration::from_secs(10);

/// Troubles of rooms that a host remembers. Beyond it the oldest is forgotten, and is told again should it still be there.
pub const TROUBLES_MAX: usize = 1_000;

/// Counts of rejections, by author and kind, that a room keeps until the journal is told.
pub const TALLY_COUNTS_MAX: usize = 1_000;

/// How long a count of rejections may be known to the room alone.
pub const TALLY_INTERVAL: Duration = Duration::from_secs(5);

/// Rooms that are read from the journal at a time, to go through all.
pub const ROOMS_READ_MAX: usize = 1_000;

/// Rooms that wait for their logs to be trimmed.
pub const TRIM_QUEUE_MAX: usize = 10_000;

/// Rooms whose logs are proved and trimmed at the same time.
pub const TRIMS_AT_ONCE: usize = 4;

/// Snapshots, from the newest on, among which one with a checkpoint is looked for. Those that rooms of earlier
/// versions took before they slept have none.
pub const TRIM_CANDIDATES_MAX: usize = 16;
