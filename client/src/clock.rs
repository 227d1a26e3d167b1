//! Two measurements of the connection to the host: the host's clock, and the latency.

use reapply_sync::Timestamp;
use reapply_sync::room::{Now, Ticks};

/// The weight of a new measurement in the smoothed latency.
const LATENCY_WEIGHT: f64 = 0.25;

/// The host's clock, as closely as this client can estimate it. Predictions are made at the host's time, not at this client's.
#[derive(Debug, Default)]
pub struct HostClock {
    /// The lower bound of the host's clock minus the ticks here.
    ahead: Option<i128>,
    must_begin: bool,
    named: Option<Timestamp>,
}

impl HostClock {
    /// Begins again with the next time that the host names: a new connection may lead to another host, and this client may have slept.
    pub fn begin(&mut self) {
        self.must_begin = true;
    }

    /// Takes in the latest time that the host has named. Of several times, the one that took the shortest way is the most exact.
    pub fn hear(&mut self, time: Option<Timestamp>, at: Ticks) {
        let Some(named) = time.filter(|_| time != self.named) else { return };
        self.named = time;
        let heard = i128::from(named.0) - i128::from(at.0);
        let kept = self.ahead.filter(|_| !self.must_begin);
        self.ahead = Some(kept.map_or(heard, |ahead| ahead.max(heard)));
        self.must_begin = false;
    }

    /// Returns the host's time. Until the host has named a time, this is the time of the clock here.
    #[must_use]
    pub fn now(&self, now: &Now<'_>) -> Timestamp {
        let Some(ahead) = self.ahead else { return now.time };
        Timestamp(u64::try_from((i128::from(now.ticks.0) + ahead).max(0)).unwrap_or(u64::MAX))
    }
}

/// The time to the host and back, smoothed.
#[derive(Debug, Default)]
pub struct Latency {
    micros: Option<f64>,
}

impl Latency {
    /// Takes in that a ping sent at `sent` was answered now.
    pub fn measure(&mut self, sent: Ticks, now: Ticks) {
        let measured = now.0.saturating_sub(sent.0) as f64;
        self.micros = Some(self.micros.map_or(measured, |micros| micros + (measured - micros) * LATENCY_WEIGHT));
    }

    /// Returns the latency in microseconds, once it has been measured.
    #[must_use]
    pub fn micros(&self) -> Option<f64> {
        self.micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(clock: &HostClock, ticks: u64) -> u64 {
        let mut entropy = || 0;
        clock.now(&Now { ticks: Ticks(ticks), time: Timestamp(7), entropy: &mut entropy }).0
    }

    #[test]
    fn the_clock_here_counts_until_the_host_has_named_a_time() {
        let mut clock = HostClock::default();
        clock.hear(None, Ticks(5));
        assert_eq!(time(&clock, 10), 7);
        clock.hear(Some(Timestamp(1_000)), Ticks(10));
        assert_eq!(time(&clock, 15), 1_005);
    }

    #[test]
    fn the_quickest_message_tells_most_until_there_is_another_connection() {
        let mut clock = HostClock::default();
        clock.hear(Some(Timestamp(1_000)), Ticks(100));
        clock.hear(Some(Timestamp(1_010)), Ticks(150));
        assert_eq!(time(&clock, 200), 1_100, "the second was under way for longer");
        clock.hear(Some(Timestamp(1_090)), Ticks(180));
        assert_eq!(time(&clock, 200), 1_110);
        // The same time again says nothing new: it is older by now.
        clock.begin();
        clock.hear(Some(Timestamp(1_090)), Ticks(190));
        assert_eq!(time(&clock, 200), 1_110);
        clock.hear(Some(Timestamp(500)), Ticks(200));
        assert_eq!(time(&clock, 200), 500, "another host's clock, or one that was set back");
    }

    #[test]
    fn a_latency_is_smoothed() {
        let mut latency = Latency::default();
        latency.measure(Ticks(100), Ticks(500));
        assert_eq!(latency.micros(), Some(400.0));
        latency.measure(Ticks(600), Ticks(1_400));
        assert_eq!(latency.micros(), Some(500.0));
    }
}
