//! The conditions of a run: the room's limits, the host's clock, and who else submits. Half of all runs have everyday limits and an everyday
//! clock. The others reach in seconds situations that would otherwise take months.

use reapply_sync::limits::SNAPSHOT_TAIL_BYTES_MIN;
use reapply_sync::{Limits, SnapshotPolicy, Timestamp};

use crate::faults::{BLOATED_SNAPSHOT_BYTES_MAX, FaultRates};
use crate::random::Random;

/// A year in microseconds: the largest step of the host's clock.
const YEAR: u64 = 365 * 24 * 60 * 60 * 1_000_000;

/// The first time of the host's clock: late enough for steps back.
const CLOCK_BEGINS: u64 = 60 * YEAR;

#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    pub(crate) clients: usize,
    pub(crate) limits: Limits,
    pub(crate) snapshot_policy: SnapshotPolicy,
    /// Whether the room can forget clients that had events.
    pub(crate) forgets: bool,
    pub(crate) clock: Clock,
    /// The number of restores from a backup. Each takes the host back to an earlier moment of its log.
    pub(crate) restores: u64,
    /// Maximum number of transitions that are submitted without a session, in a run of the usual length.
    pub(crate) submits_once: u64,
    /// The percentage of pages whose browser's database does not answer at first.
    pub(crate) store_silent_percent: u64,
    /// The percentage of writes that fail in a browser.
    pub(crate) write_failures_percent: u64,
    /// The rates at which machines break off: in the room, and below in pages.
    pub(crate) host_faults: FaultRates,
    pub(crate) page_faults: FaultRates,
    /// Whether some states are too large for a snapshot.
    pub(crate) bloats: bool,
}

/// The host's clock, which may be set at any moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// The difference between this clock and the simulation's.
    offset: u64,
    steps_percent: u64,
}

impl Conditions {
    pub(crate) fn new(random: &mut Random) -> Self {
        let is_everyday = random.percent(50);
        let steps_percent = if is_everyday { 0 } else { random.below(101) };
        let mut limits = if is_everyday { everyday() } else { narrow(random) };
        let bloats = random.percent(20);
        // Strangers come besides, and find the room full.
        let clients = 1 + random.index(8);
        if random.percent(30) {
            // One more place, for couriers.
            limits.room_sessions_max = clients + 1 + random.index(2);
        }
        if bloats {
            limits.snapshot_bytes_max = BLOATED_SNAPSHOT_BYTES_MAX;
        }
        // Clients that were silent for too long are forgotten when a snapshot is taken.
        let events = (!is_everyday && random.percent(60)).then(|| 1 + random.below(12));
        Self {
            clients,
            limits,
            snapshot_policy: SnapshotPolicy { events, bytes: None },
            forgets: !is_everyday,
            clock: Clock { offset: CLOCK_BEGINS, steps_percent },
            restores: if random.percent(20) { 1 + random.below(2) } else { 0 },
            submits_once: random.below(if is_everyday { 5 } else { 40 }),
            store_silent_percent: if random.percent(50) { 0 } else { random.below(50) },
            write_failures_percent: if random.percent(50) { 0 } else { random.below(40) },
            host_faults: if random.percent(40) { host_faults(random) } else { FaultRates::default() },
            page_faults: if random.percent(40) { page_faults(random) } else { FaultRates::default() },
            bloats,
        }
    }
}

impl Clock {
    /// Returns the time of the clock at a moment of the simulation.
    pub(crate) fn at(&self, now: u64) -> Timestamp {
        Timestamp(self.offset.saturating_add(now))
    }

    /// Sets the clock, in runs that do so. Returns whether it was set.
    pub(crate) fn step(&mut self, random: &mut Random) -> bool {
        if !random.percent(self.steps_percent) {
            return false;
        }
        let most = [1_000_000, 60_000_000, YEAR][random.index(3)];
        let step = random.below(most);
        let forward = self.offset.saturating_add(step);
        self.offset = if random.percent(50) { forward } else { self.offset.saturating_sub(step) };
        true
    }
}

/// Draws the fault rates of a room's machine outside of decisions. In decisions, the transitions themselves cause the faults.
fn host_faults(random: &mut Random) -> FaultRates {
    let mut below = |end: u64| if random.percent(50) { 0 } else { random.below(end) };
    FaultRates {
        restore: below(100),
        snapshot: below(400),
        alarm: below(60),
        reset: below(100),
        view: below(500),
        ..FaultRates::default()
    }
}

fn page_faults(random: &mut Random) -> FaultRates {
    let mut below = |end: u64| if random.percent(50) { 0 } else { random.below(end) };
    FaultRates {
        restore: below(200),
        apply: below(50),
        snapshot: below(400),
        codec: below(200),
        reset: below(200),
        ..FaultRates::default()
    }
}

/// Returns the limits of a host, except that slow readers are cut off in runs of this length.
fn everyday() -> Limits {
    Limits { readers_tail_bytes_min: SNAPSHOT_TAIL_BYTES_MIN, ..Limits::default() }
}

/// Draws limits that runs of this length reach, each in most runs.
fn narrow(random: &mut Random) -> Limits {
    let default = everyday();
    let silence_max = [300_000, 3_000_000, 10_000_000][random.index(3)];
    let mut below = |end: usize, default: usize| if random.percent(25) { default } else { random.index(end) };
    Limits {
        clients_remembered_max: below(6, default.clients_remembered_max),
        clients_rejected_max: below(4, default.clients_rejected_max),
        client_remembered_micros: below(silence_max, default.client_remembered_micros as usize) as u64,
        rejections_remembered_max: 1 + below(4, default.rejections_remembered_max),
        reasons_remembered_bytes_max: below(40, default.reasons_remembered_bytes_max),
        rejections_held_max: 1 + below(4, default.rejections_held_max),
        batch_events_max: 1 + below(4, default.batch_events_max),
        batch_bytes_max: 1 + below(10_000, default.batch_bytes_max),
        readers_tail_bytes_min: below(40_000, default.readers_tail_bytes_min),
        snapshot_bytes_max: default.snapshot_bytes_max,
        room_sessions_max: default.room_sessions_max,
        tail_cost_min: below(100_000, default.tail_cost_min as usize) as u64,
        snapshot_part_bytes: 1 + below(200, default.snapshot_part_bytes),
        events_read_bytes: 1 + below(2_000, default.events_read_bytes),
        overfull_tail_bytes_min: default.overfull_tail_bytes_min,
        sleep_tail_bytes_min: below(2_000, default.sleep_tail_bytes_min),
    }
}
