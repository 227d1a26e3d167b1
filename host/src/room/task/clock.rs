//! The clocks and the random bits of one room.

use std::time::{Duration, Instant};

use reapply_sync::Timestamp;
use reapply_sync::room::{Now, Ticks};

use crate::clock;

/// The time for which one reading of the clocks serves a room: reading them costs as much as a part of a command.
pub(super) const READING_LASTS: Duration = Duration::from_micros(100);

/// A time beyond the end of any process, and within the range of every system's clock.
const FAR_AWAY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A room's count of ticks, which begins when it wakes.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    began: Instant,
}

/// The clocks, read at one moment.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) at: Instant,
    ticks: Ticks,
    time: Timestamp,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// Reads the clocks. `present` was just read.
    pub(super) fn read(self, present: Instant) -> Reading {
        let micros = present.duration_since(self.began).as_micros();
        Reading { at: present, ticks: Ticks(u64::try_from(micros).unwrap_or(u64::MAX)), time: clock::now() }
    }

    pub(super) fn instant(self, Ticks(micros): Ticks) -> Instant {
        let at = self.began.checked_add(Duration::from_micros(micros));
        at.unwrap_or(self.began + FAR_AWAY)
    }
}

impl Reading {
    pub(super) fn with_now<T>(&self, f: impl FnOnce(&mut Now<'_>) -> T) -> T {
        f(&mut Now { ticks: self.ticks, time: self.time, entropy: &mut rand::random })
    }
}
