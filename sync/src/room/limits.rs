//! Every bound of a room, by name.

/// Sessions of one room.
pub const ROOM_SESSIONS_MAX: usize = 10_000;

/// Microseconds that pass, at least, between two messages of a room about who is present.
pub const PRESENCE_INTERVAL_MICROS: u64 = 100_000;

/// What a machine's calls cost in a microsecond, about, as [`Machine::take_cost`](crate::Machine::take_cost) counts.
pub const COST_PER_MICRO: u64 = 1_000;

/// Microseconds that a participant waits after the machine faulted on one of its transitions, at least. Each further fault doubles the time, up to
/// [`BACKOFF_MICROS_MAX`].
pub const BACKOFF_MICROS_MIN: u64 = 20_000;

/// See [`BACKOFF_MICROS_MIN`].
pub const BACKOFF_MICROS_MAX: u64 = 10_000_000;

/// Participants of whom a room remembers that they have to wait.
pub const BACKOFFS_MAX: usize = 1_000;

/// Transitions that wait in a room because the machine faulted on others of their participants.
pub const HELD_MAX: usize = 10_000;

/// Bytes of these transitions.
pub const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Microseconds for which a room whose events were not stored lets no alarm go off and tries no leaving again. No participant asks for these, so
/// nothing else would slow them down.
pub const STORAGE_RETRY_MICROS: u64 = 1_000_000;

/// Microseconds after which a room that is overfull tries again to take a snapshot.
pub const SNAPSHOT_RETRY_MICROS: u64 = 60_000_000;
