//! Every bound on rooms and sessions, by name.

use std::time::Duration;

/// Rooms that are awake at once.
pub const ROOMS_AWAKE_MAX: usize = 10_000;

/// Sessions of one room.
pub const ROOM_SESSIONS_MAX: usize = 10_000;

/// Messages that wait to be decided by one room. Whoever sends more waits, or (over HTTP) is told to come again.
pub const ROOM_INBOX_MAX: usize = 4_096;

/// Messages to one session besides the room's events (rejections, signals). A session that lets more pile up is ended as too slow.
pub const SESSION_QUEUE_MAX: usize = 1_024;

/// Signals that one session may send in a second; what is above is dropped, since the next one replaces it anyway.
pub const SIGNALS_PER_SECOND_MAX: u32 = 60;

/// How often at most a room tells who is present.
pub const PRESENCE_INTERVAL: Duration = Duration::from_millis(100);

/// How long one turn of a room may take on a shared thread. Beyond it, the room's further work of that turn moves to a thread of its own.
pub const TURN_MAX: Duration = Duration::from_millis(2);

/// How long a room that could not store its events waits before it lets its alarm go off again: nobody asks for it, so nobody else
/// would slow it down.
pub const ALARM_WAITS_FOR_STORAGE: Duration = Duration::from_secs(1);

/// Bytes of events read from the journal at a time.
pub const READ_BYTES: usize = 4 * 1024 * 1024;
