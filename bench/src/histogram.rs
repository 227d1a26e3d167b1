//! Latencies in little memory: recording must not disturb the measurement.

use std::time::Duration;

/// The number of buckets for each power of two, so that a figure is off by less than one percent.
const BUCKETS_PER_OCTAVE: u64 = 64;

/// Counts of latencies, in nanoseconds, in buckets that widen with the value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, latency: Duration) {
        let index = bucket(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.count += 1;
    }

    /// Adds the records of another histogram.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.count += other.count;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the latency that a share `quantile` of all does not exceed, in milliseconds; 0 if there are none.
    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        let rank = (self.count as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        let index = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        index.map_or(0.0, |index| middle(index) as f64 / 1e6)
    }
}

fn bucket(nanos: u64) -> usize {
    let octave = (nanos / BUCKETS_PER_OCTAVE).checked_ilog2().map_or(0, |log| log + 1);
    let shift = octave.saturating_sub(1);
    (u64::from(octave) * BUCKETS_PER_OCTAVE + (nanos >> shift) % BUCKETS_PER_OCTAVE) as usize
}

/// Returns a value in the middle of a bucket.
fn middle(index: usize) -> u64 {
    let (octave, within) = (index as u64 / BUCKETS_PER_OCTAVE, index as u64 % BUCKETS_PER_OCTAVE);
    if octave == 0 {
        return within;
    }
    let shift = octave - 1;
    ((BUCKETS_PER_OCTAVE + within) << shift) + ((1 << shift) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_again_within_one_percent() {
        for nanos in (0..200).chain((1..50).map(|power| 1 << power)).chain([999, 123_456, 7_654_321, 35_000_000]) {
            let found = middle(bucket(nanos));
            assert!(found.abs_diff(nanos) as f64 <= nanos as f64 * 0.01, "{nanos} became {found}");
        }
    }

    #[test]
    fn buckets_follow_each_other() {
        assert!((1..100_000).all(|nanos| bucket(nanos) - bucket(nanos - 1) <= 1));
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        assert!((histogram.quantile_ms(0.5) - 0.5).abs() < 0.01);
        assert!((histogram.quantile_ms(0.99) - 0.99).abs() < 0.01);
        assert_eq!(histogram.count(), 1000);
        assert_eq!(Histogram::default().quantile_ms(0.5), 0.0);
    }
}
