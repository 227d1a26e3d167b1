//! The limits of going through logs, each with a name.

use std::time::Duration;

/// The maximum time of one portion of a replay on a thread that runs machines. The last call may exceed it.
pub const PORTION_MAX: Duration = Duration::from_millis(50);

/// Bytes of events that a replay reads at a time. A larger portion would take long to decode on a shared thread.
pub const REPLAY_READ_BYTES: usize = 256 * 1024;

/// Past states that are rebuilt or looked at at the same time. Each holds a machine of its own; other requests for them wait.
pub const PASTS_AT_ONCE: usize = 8;
