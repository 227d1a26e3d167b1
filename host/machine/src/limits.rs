//! Every bound on a running machine, by name; those on its component are in `reapply-component`. Only the host's verdict on a new event counts: hosts and browsers apply accepted events under wider limits,
//! since what an event costs depends on how its state came about.

/// Bytes of the JSON Schemas that a machine describes itself with, when it is deployed.
pub const SCHEMAS_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of descriptions that are kept at hand. A description beyond that is read from the journal for each request.
pub const DESCRIPTIONS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Fuel for a call whose work is in proportion to one event: `apply`, `alarm`, `encode`, `decode`, `describe`. One unit is about
/// one instruction, or one byte of a bulk copy: enough to fill the whole of [`MEMORY_BYTES_MAX`] once, in some 30 to 60 ms.
pub const FUEL_PER_EVENT: u64 = 75_000_000;

/// Fuel for applying again an event that was accepted within [`FUEL_PER_EVENT`]. A restored state may be laid out otherwise than the one that was
/// judged, and an event cost more on it.
pub const FUEL_PER_REPLAYED_EVENT: u64 = 2_000_000_000;

/// Fuel for a call whose work is in proportion to the state: starting the machine, `create`, `restore`, `snapshot`, `view`, and the
/// dropping of a state. The whole takes one to two seconds.
pub const FUEL_PER_STATE: u64 = 2_000_000_000;

/// Fuel of one call on a thread that others wait for: some two milliseconds. A call that needs more is broken off and made again on a thread of the
/// [pool](super::MachinePool).
pub const FUEL_PER_SLICE: u64 = 4_000_000;

/// Threads of one lane of the pool that runs machines, for each processor and at least [`POOL_LANE_THREADS_MIN`].
pub const POOL_LANE_THREADS_PER_PROCESSOR: usize = 1;

/// See [`POOL_LANE_THREADS_PER_PROCESSOR`].
pub const POOL_LANE_THREADS_MIN: usize = 2;

/// How much the pool's threads for slow turns give way to others: between 0 and 19.
pub const POOL_NICENESS: i32 = 5;

/// Bytes of stack of a thread that runs machines: those of a machine's frames ([`STACK_REPLAY_BYTES_MAX`]) and as much for the host's.
pub const POOL_STACK_BYTES: usize = 2 * STACK_REPLAY_BYTES_MAX;

/// Fuel that `restore` has besides [`FUEL_PER_STATE`], for each byte of the snapshot: what a machine could make, event by event, it must be able to
/// make again at once, or its room would never open any more.
pub const FUEL_PER_SNAPSHOT_BYTE: u64 = 2_000;

/// Bytes of linear memory up to which a new event, new options or a translation may grow an instance, over all of its memories.
pub const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of linear memory up to which an instance may grow while it restores, stores or shows a state, or applies again what was accepted: what
/// fits into [`MEMORY_BYTES_MAX`] needs room beside it for its snapshot or view.
pub const MEMORY_STATE_BYTES_MAX: usize = 192 * 1024 * 1024;

/// Linear memories of one instance.
pub const MEMORIES_MAX: usize = 4;

/// Table elements that one instance may hold, over all of its tables.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Tables of one instance.
pub const TABLES_MAX: usize = 16;

/// Core instances that one component may be made of.
pub const CORE_INSTANCES_MAX: usize = 32;

/// Bytes of stack for a machine's frames while it judges new events, on the calling thread's own stack. Browsers give about four times as
/// much, so that what the host accepted never overflows there.
pub const STACK_BYTES_MAX: usize = 256 * 1024;

/// Bytes of stack for applying again what was accepted, and for a room whose state takes more stack to restore than it took to make. A thread that
/// calls a machine has 2 MiB.
pub const STACK_REPLAY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of one conflict, as JSON. The room remembers conflicts to repeat them, so they have to stay small.
pub const CONFLICT_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a text in which a machine explains itself (a refusal, a trap). The rest is cut off.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// Compiled builds that are kept at hand. What is above is read from the compile cache again when it is needed.
pub const BUILDS_LOADED_MAX: usize = 256;
