//! Every bound on exports, by name.

use reapply_sync::limits::{BATCH_BYTES_MAX, SNAPSHOT_BYTES_MAX};

/// Bytes of one section's content: the largest is a snapshot with the clients and participants that its room remembers.
pub const SECTION_BYTES_MAX: usize = SNAPSHOT_BYTES_MAX + 8 * 1024 * 1024;

/// Bytes of events that go into one section of records before another is begun. A larger record still goes whole.
pub const RECORDS_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a section of records: what is begun with less than [`RECORDS_BYTES`], and a batch of the largest size.
pub const RECORDS_SECTION_BYTES_MAX: usize = RECORDS_BYTES + 2 * BATCH_BYTES_MAX;

/// Events of a section of records: an event has more than sixteen bytes.
pub const RECORDS_EVENTS_MAX: u64 = RECORDS_SECTION_BYTES_MAX as u64 / 16;

/// Bytes of all components of one export.
pub const COMPONENTS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How hard zstd tries. Each step up costs much time for little: see `bench/`.
pub const ZSTD_LEVEL: i32 = 9;

/// Sections that wait between the thread that reads an export and the one that replays it.
pub const PARTS_WAITING_MAX: usize = 2;

/// Clients whose last numbers are followed while a log is verified, to compare them with what snapshots remember. More than a
/// room remembers; beyond it the ones silent for longest are left out of the comparison.
pub const CLIENTS_FOLLOWED_MAX: usize = 100_000;

/// Bytes of one export that a host takes in.
pub const IMPORT_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
