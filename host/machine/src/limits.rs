//! The bounds on a running machine, by name. The bounds on its component are in `reapply-component`.
//!
//! Only the host judges new events by these limits. Hosts and browsers apply accepted events under wider limits, since the cost of an event depends
//! on how its state came about.

/// Bytes of the JSON Schemas that a machine describes itself with, when it is deployed.
pub const SCHEMAS_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of descriptions that are kept in memory. A description beyond that is read from the journal for each request.
pub const DESCRIPTIONS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Fuel for a call whose work is in proportion to one event: `apply`, `alarm`, `encode`, `decode`, `describe`. One unit is about
/// one instruction, or one byte of a bulk copy: enough to fill the whole of [`MEMORY_BYTES_MAX`] once, in some 30 to 60 ms.
pub const FUEL_PER_EVENT: u64 = 75_000_000;

/// Fuel for applying again an event that was accepted within [`FUEL_PER_EVENT`]. A restored state may be laid out differently from the one on
/// which the event was judged, so the event may cost more.
pub const FUEL_PER_REPLAYED_EVENT: u64 = 2_000_000_000;

/// Fuel for dropping the states that applying an accepted event again releases. When the event was judged, these drops stayed within
/// [`FUEL_PER_STATE`], on states that may have been laid out differently.
pub const FUEL_PER_REPLAYED_DROPS: u64 = 4 * FUEL_PER_STATE;

/// Fuel for a call whose work is in proportion to the state: starting the machine, `create`, `restore`, `snapshot`, `view`, and
/// dropping a state. All of it takes one to two seconds.
pub const FUEL_PER_STATE: u64 = 2_000_000_000;

/// Fuel of one call on a thread that others wait for: about half a millisecond; and as much for dropping states before the call. A call that needs more is interrupted, and made again on a thread of
/// the [pool](super::MachinePool).
pub const FUEL_PER_SLICE: u64 = 1_000_000;

/// Threads of one lane of the pool, for each processor; but at least [`POOL_LANE_THREADS_MIN`] in all.
pub const POOL_LANE_THREADS_PER_PROCESSOR: usize = 1;

/// Minimum number of threads of one lane of the pool.
pub const POOL_LANE_THREADS_MIN: usize = 2;

/// Maximum number of threads of the pool that prove imported exports. An import also waits for its sender, so each import has a thread.
pub const POOL_IMPORT_THREADS: usize = 4;

/// Maximum number of components that are checked for their deployment, or wait for that. Further ones are refused.
pub const DEPLOYMENTS_AT_ONCE_MAX: usize = 16;

/// The niceness of the pool's threads, except for those for quick turns: between 0 and 19, where 19 is the lowest priority.
pub const POOL_NICENESS: i32 = 5;

/// The nanoseconds of processor time that the pool's threads ask for at a time: the most that Linux allows. A thread that asks for less runs at
/// once when it wakes.
pub const POOL_SLICE_NANOS: u64 = 100_000_000;

/// Bytes of stack of a thread that runs machines: [`STACK_REPLAY_BYTES_MAX`] for the machine's frames, and as much for the host's.
pub const POOL_STACK_BYTES: usize = 2 * STACK_REPLAY_BYTES_MAX;

/// Additional fuel of `restore` for each byte of the snapshot, besides [`FUEL_PER_STATE`]. A machine must be able to restore in one call the state
/// that it built event by event. Otherwise its room would never open again.
pub const FUEL_PER_SNAPSHOT_BYTE: u64 = 2_000;

/// Bytes of linear memory up to which a new event, new options or a translation may grow an instance, over all of its memories.
pub const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of linear memory up to which an instance may grow while it restores, stores or shows a state, or applies an accepted event again. A state
/// that fits into [`MEMORY_BYTES_MAX`] needs more memory for its snapshot or view.
pub const MEMORY_STATE_BYTES_MAX: usize = 192 * 1024 * 1024;

/// Linear memories of one instance.
pub const MEMORIES_MAX: usize = 4;

/// Table elements that one instance may hold, over all of its tables.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Tables of one instance.
pub const TABLES_MAX: usize = 16;

/// Core instances that one component may be made of.
pub const CORE_INSTANCES_MAX: usize = 32;

/// Bytes of stack for a machine's frames while it judges new events, on the calling thread's own stack. Browsers have about four times as
/// much, so that an event that the host accepted never overflows their stack.
pub const STACK_BYTES_MAX: usize = 256 * 1024;

/// Bytes of stack for applying accepted events again, and for a room whose state takes more stack to restore than it took to build. A thread that
/// calls a machine has 2 MiB.
pub const STACK_REPLAY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of one conflict, as JSON. The room remembers conflicts to repeat them, so they have to stay small.
pub const CONFLICT_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a text in which a machine explains itself (a refusal, a trap). The rest is cut off.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// Compiled builds that are kept in memory. Further ones are read from the compile cache again when they are needed.
pub const BUILDS_LOADED_MAX: usize = 256;

/// Bytes of the components of builds that are kept in memory although nobody uses them. Compiled code takes a few times as much.
pub const BUILDS_LOADED_BYTES_MAX: usize = 128 * 1024 * 1024;
