//! The limits of an upgrade, each with a name.

use std::time::Duration;

/// The number of events that the gate plays of each room by default.
pub const REPLAY_EVENTS: u64 = 1_000;

/// The number of rooms that the gate tries at once. Each takes two instances and a part of the log.
pub const TRIALS_AT_ONCE: usize = 2;

/// The maximum number of rooms of one upgrade. A machine with more is upgraded by repeating the command: rooms that already run the build
/// are skipped.
pub const UPGRADE_ROOMS_MAX: usize = 100_000;

/// The maximum number of lines that wait to be read by the requester. The upgrade is not faster than its reader.
pub const LINES_WAITING_MAX: usize = 64;

/// The maximum number of rooms that the closing report names for each kind of failure.
pub const ROOMS_NAMED_MAX: usize = 100;

/// The maximum number of bytes of a view that is compared line by line. Of larger views, only the fact that they differ is reported.
pub const VIEW_COMPARED_BYTES_MAX: usize = 1024 * 1024;

/// The maximum number of bytes of a difference that are shown. The rest is cut off.
pub const DIFF_BYTES_MAX: usize = 8 * 1024;

/// The maximum time that one comparison searches for the shortest difference. After that it takes the best one so far.
pub const DIFF_WITHIN: Duration = Duration::from_secs(1);

/// The maximum number of bytes of a transition's JSON that are shown. The rest is cut off.
pub const TRANSITION_SHOWN_BYTES_MAX: usize = 512;

/// The minimum number of hexadecimal digits in the abbreviation of a digest.
pub const DIGEST_DIGITS_MIN: usize = 4;
