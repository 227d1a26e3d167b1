//! Every bound of a room, by name.

/// Maximum number of sessions of one room.
pub const ROOM_SESSIONS_MAX: usize = 10_000;

/// The minimum time in microseconds between two messages of a room about its participants.
pub const PRESENCE_INTERVAL_MICROS: u64 = 100_000;

/// The approximate cost of a machine's calls in one microsecond, as [`Machine::take_cost`](crate::Machine::take_cost) counts.
pub const COST_PER_MICRO: u64 = 1_000;

/// The minimum time in microseconds that a participant waits after the machine faulted on one of its transitions. Each further fault doubles
/// the time, up to [`BACKOFF_MICROS_MAX`].
pub const BACKOFF_MICROS_MIN: u64 = 20_000;

/// See [`BACKOFF_MICROS_MIN`].
pub const BACKOFF_MICROS_MAX: u64 = 10_000_000;

/// Maximum number of participants whose waits a room remembers.
pub const BACKOFFS_MAX: usize = 1_000;

/// Maximum number of transitions that wait in a room because the machine faulted on other transitions of the same participants.
pub const HELD_MAX: usize = 10_000;

/// Maximum bytes of these transitions.
pub const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The time in microseconds after a failed append during which a room sets off no alarm and does not try leaves again. No participant asks for
/// these, so nothing else would slow them down.
pub const STORAGE_RETRY_MICROS: u64 = 1_000_000;

/// Microseconds for which a room that ends waits for the trial of its last snapshot. Then it ends without that snapshot.
pub const LAST_TRIAL_MICROS_MAX: u64 = 2_000_000;

/// Microseconds after which a trial that could not be made is tried again.
pub const TRIAL_RETRY_MICROS: u64 = 10_000_000;

/// Microseconds after which a room that is overfull tries again to take a snapshot.
pub const SNAPSHOT_RETRY_MICROS: u64 = 60_000_000;

/// Held transitions that are decided in one step of the room, so that no step takes long.
pub const HELD_AT_ONCE_MAX: usize = 64;
