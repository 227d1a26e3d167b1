//! Latencies in little memory: recording must not disturb the measurement.

use std::time::Duration;

/// The significant digits that are kept, so that a figure is off by at most one percent.
const DIGITS: u8 = 2;

/// The latency as which longer ones are recorded. No load takes as long.
const LATENCY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Counts of latencies, in nanoseconds, in buckets that widen with the value.
#[derive(Clone, Debug)]
pub(crate) struct Histogram(hdrhistogram::Histogram<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self(hdrhistogram::Histogram::new(DIGITS).expect("so many digits are possible"))
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.min(LATENCY_MAX).as_nanos()).unwrap_or_default();
        self.0.record(nanos).expect("a histogram grows for each value");
    }

    /// Adds the records of another histogram.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("a histogram without a highest value takes in any other");
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns the latency that a share `quantile` of all does not exceed, in milliseconds; 0 if there are none.
    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_micros(micros: impl Iterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        micros.for_each(|micros| histogram.record(Duration::from_micros(micros)));
        histogram
    }

    #[test]
    fn every_latency_is_found_again_within_one_percent() {
        for nanos in (1..200).chain((1..46).map(|power| 1 << power)).chain([999, 123_456, 7_654_321, 35_000_000]) {
            let mut histogram = Histogram::default();
            histogram.record(Duration::from_nanos(nanos));
            let found = histogram.quantile_ms(0.5) * 1e6;
            assert!((found - nanos as f64).abs() <= nanos as f64 * 0.01, "{nanos} became {found}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let histogram = of_micros(1..=1000);
        assert!((histogram.quantile_ms(0.5) - 0.5).abs() < 0.01);
        assert!((histogram.quantile_ms(0.99) - 0.99).abs() < 0.01);
        assert_eq!(histogram.count(), 1000);
        assert_eq!(Histogram::default().quantile_ms(0.5), 0.0);
    }

    #[test]
    fn a_merged_histogram_has_the_records_of_both() {
        let mut histogram = of_micros(1..=500);
        histogram.merge(&of_micros(501..=1000));
        assert_eq!(histogram.count(), 1000);
        assert!((histogram.quantile_ms(0.5) - 0.5).abs() < 0.01);
        assert!((histogram.quantile_ms(0.99) - 0.99).abs() < 0.01);
    }
}
