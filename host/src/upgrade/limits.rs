//! Every bound on an upgrade, by name.

use std::time::Duration;

/// Events that the gate plays of each room, unless it is asked for more or fewer.
pub const REPLAY_EVENTS: u64 = 1_000;

/// Rooms that the gate tries at once. Each takes two instances and a part of the log.
pub const TRIALS_AT_ONCE: usize = 2;

/// Rooms that one upgrade takes. A machine that has more is upgraded by asking again: those that run the build already are left out.
pub const UPGRADE_ROOMS_MAX: usize = 100_000;

/// Lines that wait to be read by whoever asked for the upgrade. It goes no faster than they are.
pub const LINES_WAITING_MAX: usize = 64;

/// Rooms that the closing report names for each thing that went wrong.
pub const ROOMS_NAMED_MAX: usize = 100;

/// Bytes of a view, as the machine writes it, that is compared line by line. Of larger ones it is only told that they differ.
pub const VIEW_COMPARED_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a difference that are shown. The rest is cut off.
pub const DIFF_BYTES_MAX: usize = 8 * 1024;

/// How long one comparison looks for the shortest difference. After that it takes the one that it has.
pub const DIFF_WITHIN: Duration = Duration::from_secs(1);

/// Bytes of a transition's JSON that are shown. The rest is cut off.
pub const TRANSITION_SHOWN_BYTES_MAX: usize = 512;

/// Hexadecimal digits that the abbreviation of a digest has at least.
pub const DIGEST_DIGITS_MIN: usize = 4;
