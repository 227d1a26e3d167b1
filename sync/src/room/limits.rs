//! Every bound of a room, by name.

/// Sessions of one room.
pub const ROOM_SESSIONS_MAX: usize = 10_000;

/// Microseconds that pass, at least, between two messages of a room about who is present.
pub const PRESENCE_INTERVAL_MICROS: u64 = 100_000;

/// Microseconds for which a room whose events were not stored lets no alarm go off and tries no leaving again. No participant asks for these, so
/// nothing else would slow them down.
pub const STORAGE_RETRY_MICROS: u64 = 1_000_000;
