//! Every bound and every wait of a client, by name. Waits are in microseconds, as [`Ticks`](reapply_sync::room::Ticks) are.

/// Transitions that wait for the room to be joined. Those after it are bounded by the replica
/// ([`PENDING_MAX`](reapply_sync::limits::PENDING_MAX)).
pub const HELD_MAX: usize = 10_000;

/// Numbers that are set aside at a time. A page begins above those of the page before it: no number ever names two transitions, not
/// even where the last entries were not written any more.
pub const NUMBERS_RESERVED: u64 = 1_000;

/// How long a queue that could not be written waits before all of it is written again.
pub const REWRITE_AFTER_MICROS: u64 = 5_000_000;

/// How often the connection is asked for a sign of life.
pub const HEARTBEAT_MICROS: u64 = 5_000_000;

/// How long a connection may stay silent after it was asked, and how long it may take to open.
pub const SILENCE_MAX_MICROS: u64 = 10_000_000;

/// After a connection that lasted this long, the next wait is short again.
pub const GOOD_AFTER_MICROS: u64 = 10_000_000;

/// How long a view may lack what others have done, where so much is pending that it is not made anew after each frame.
pub const BEHIND_MAX_MICROS: u64 = 100_000;

/// The longest first wait before connecting again, unless the owner chooses another.
pub const BACKOFF_FIRST_MICROS: u64 = 250_000;

/// The longest wait before connecting again, unless the owner chooses another.
pub const BACKOFF_MAX_MICROS: u64 = 15_000_000;

/// How often in a row a session may be replaced by another of the same client, though this page alone is that client in this browser: the
/// greeting of a connection that was given up may arrive late. More often, the key is used elsewhere.
pub const REPLACED_MAX: u32 = 4;

/// After this long without a replacement, the count of [`REPLACED_MAX`] begins anew.
pub const REPLACED_WITHIN_MICROS: u64 = 60_000_000;

/// How long after a search for clients that are gone the next one begins: a tab may have been closed since, and a store may not have answered.
pub const ORPHANS_AGAIN_MICROS: u64 = 15_000_000;

/// Bytes of a past that are kept: events and states. What was not looked at for longest goes first. The stretch that is looked at is always kept.
pub const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A replay of the past leaves a snapshot behind after this many events at the earliest, and when their bytes come to this part of the snapshot
/// before.
pub const LEAVE_EVENTS_MIN: usize = 64;

/// See [`LEAVE_EVENTS_MIN`].
pub const LEAVE_PART: usize = 4;
