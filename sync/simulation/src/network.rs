//! Connections with delays: in order within each direction, and cut at a moment that each end notices in its own time.

use reapply_sync::{Author, Seq};

use crate::random::Random;

pub(crate) struct Connection {
    pub(crate) client: usize,
    pub(crate) author: Author,
    /// The number of the host's start that it leads to.
    pub(crate) host: u64,
    /// The number of backups that had been restored before.
    pub(crate) epoch: usize,
    /// The log's head in the last `Welcome` that came through here.
    pub(crate) welcomed_at: Seq,
    /// Whether the host has ended it.
    pub(crate) is_ended: bool,
    pub(crate) up: Direction,
    pub(crate) down: Direction,
}

pub(crate) struct Direction {
    latency: u64,
    jitter: u64,
    last_arrival: u64,
    /// The time after which frames are lost.
    cut_at: u64,
}

impl Connection {
    pub(crate) fn new(client: usize, author: Author, host: u64, epoch: usize, random: &mut Random) -> Self {
        Self {
            client,
            author,
            host,
            epoch,
            welcomed_at: Seq(0),
            is_ended: false,
            up: Direction::new(random),
            down: Direction::new(random),
        }
    }
}

impl Direction {
    fn new(random: &mut Random) -> Self {
        // Some links are so slow that frames still arrive long after their client has reconnected.
        let latency = if random.percent(20) { random.below(3_000_000) } else { random.below(200_000) };
        Self { latency, jitter: 1 + random.below(100_000), last_arrival: 0, cut_at: u64::MAX }
    }

    /// Returns the time when a frame that is sent now arrives, if it does.
    pub(crate) fn arrival(&mut self, now: u64, random: &mut Random) -> Option<u64> {
        self.last_arrival = self.last_arrival.max(now + self.latency + random.below(self.jitter));
        (self.last_arrival < self.cut_at).then_some(self.last_arrival)
    }

    /// Cuts this direction soon. Returns the time when its reader notices.
    pub(crate) fn cut(&mut self, now: u64, random: &mut Random) -> u64 {
        self.cut_at = self.cut_at.min(now + random.below(2_000_000));
        self.cut_at
    }

    /// Returns whether a frame still arrives now: a cut may have come after it was sent.
    pub(crate) fn is_open(&self, now: u64) -> bool {
        now < self.cut_at
    }
}
