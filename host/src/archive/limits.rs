//! The limits of exports, each with a name.

use reapply_sync::limits::{BATCH_BYTES_MAX, SNAPSHOT_BYTES_MAX};

/// The maximum number of bytes of one section's content: the largest is a snapshot with the clients and participants that its room
/// remembers.
pub const SECTION_BYTES_MAX: usize = SNAPSHOT_BYTES_MAX + 8 * 1024 * 1024;

/// The number of bytes of events after which another section of records begins. A larger record stays whole.
pub const RECORDS_BYTES: usize = 4 * 1024 * 1024;

/// The maximum number of bytes of a section of records: less than [`RECORDS_BYTES`], and a batch of the largest size.
pub const RECORDS_SECTION_BYTES_MAX: usize = RECORDS_BYTES + 2 * BATCH_BYTES_MAX;

/// The maximum number of events in a section of records: an event has more than sixteen bytes.
pub const RECORDS_EVENTS_MAX: u64 = RECORDS_SECTION_BYTES_MAX as u64 / 16;

/// The maximum number of bytes of components that a reader of an export has at hand: the last ones in the file. A component that is
/// needed again after so many others is in the file again.
pub const COMPONENTS_WINDOW_BYTES: usize = 256 * 1024 * 1024;

/// The maximum number of bytes of all different components of one export. An import keeps them on disk until everything is proved.
pub const COMPONENTS_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// The compression level of zstd. Each step up costs much time for little: see `bench/`.
pub const ZSTD_LEVEL: i32 = 9;

/// The maximum number of sections that wait between the thread that reads an export and the one that replays it.
pub const PARTS_WAITING_MAX: usize = 2;

/// The maximum number of clients whose last numbers are tracked while a log is verified, to compare them with snapshots. More than a
/// room remembers; beyond it, the clients that were silent for longest are left out of the comparison.
pub const CLIENTS_FOLLOWED_MAX: usize = 100_000;

/// The maximum number of bytes of an export: no host writes more, or accepts more.
pub const EXPORT_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

/// The number of these bytes that are kept for the last section, so that an export that grows too large can still say so.
pub const EXPORT_END_BYTES: u64 = 64 * 1024;

/// The maximum number of builds of a log that its proof names: the last ones.
pub const BUILDS_NAMED_MAX: usize = 100;
