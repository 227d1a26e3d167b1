//! Every bound and every wait of a client, by name. Waits are in microseconds, as [`Ticks`](reapply_sync::room::Ticks) are.

use std::ops::Range;

/// Maximum number of transitions that wait for the room to be joined. Later ones are bounded by the replica
/// ([`PENDING_MAX`](reapply_sync::limits::PENDING_MAX)).
pub const HELD_MAX: usize = 10_000;

/// The count of numbers that are set aside at a time. A page begins above those of the page before it, so no number ever names two
/// transitions, even if the last entries were not written.
pub const NUMBERS_RESERVED: u64 = 1_000;

/// The count of numbers that a page skips, at random, if it cannot know which ones earlier pages of its client have used: more than those can have
/// used without the room's knowledge.
pub const NUMBERS_SKIPPED: Range<u64> = 1 << 16..1 << 20;

/// The time from a failed write of the queue until all of it is written again.
pub const REWRITE_AFTER_MICROS: u64 = 5_000_000;

/// The interval at which the connection is asked for a sign of life.
pub const HEARTBEAT_MICROS: u64 = 5_000_000;

/// The maximum time that a connection may stay silent after it was asked, and that it may take to open.
pub const SILENCE_MAX_MICROS: u64 = 10_000_000;

/// The minimum life of a connection after which the next wait is short again.
pub const GOOD_AFTER_MICROS: u64 = 10_000_000;

/// The maximum time that a view may lack others' changes, when so much is pending that the view is not made again after each frame.
pub const BEHIND_MAX_MICROS: u64 = 100_000;

/// The longest first wait before connecting again, unless the owner chooses another.
pub const BACKOFF_FIRST_MICROS: u64 = 250_000;

/// The longest wait before connecting again, unless the owner chooses another.
pub const BACKOFF_MAX_MICROS: u64 = 15_000_000;

/// The maximum number of times in a row that another session of the same client may replace this one, though this page alone is that client in
/// this browser: the greeting of a connection that was given up may arrive late. If it happens more often, the key is used elsewhere.
pub const REPLACED_MAX: u32 = 4;

/// The time without a replacement after which the count of [`REPLACED_MAX`] begins again.
pub const REPLACED_WITHIN_MICROS: u64 = 60_000_000;

/// The time from a search for clients that are gone to the next one: a tab may have been closed since, and a store may not have answered.
pub const ORPHANS_AGAIN_MICROS: u64 = 15_000_000;

/// Maximum bytes of a past that are kept: events and states. The stretch that was not looked at for longest goes first. The one that is looked
/// at is always kept.
pub const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The minimum number of events after which a replay of the past takes a snapshot. Their bytes must also come to the part [`LEAVE_PART`] of the
/// snapshot before.
pub const LEAVE_EVENTS_MIN: usize = 64;

/// The divisor that gives that part. See [`LEAVE_EVENTS_MIN`].
pub const LEAVE_PART: usize = 4;
