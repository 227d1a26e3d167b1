//! The waits before something is tried again.

use reapply_sync::room::Now;

use crate::limits::{BACKOFF_FIRST_MICROS, BACKOFF_MAX_MICROS};

/// Waits that double with each failure, up to a limit.
#[derive(Clone, Debug)]
pub struct Backoff {
    first_micros: u64,
    max_micros: u64,
    failures: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(BACKOFF_FIRST_MICROS, BACKOFF_MAX_MICROS)
    }
}

impl Backoff {
    /// Returns waits of at most `first_micros` at first, and never more than `max_micros`.
    #[must_use]
    pub fn new(first_micros: u64, max_micros: u64) -> Self {
        Self { first_micros, max_micros, failures: 0 }
    }

    /// Notes a success: the next wait is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns the microseconds to wait after one more failure: a random part of the longest wait, so that clients do not all come back at once
    /// when a host does.
    pub fn next(&mut self, now: &mut Now<'_>) -> u64 {
        let doubled = self.first_micros.saturating_mul(1 << self.failures.min(30));
        let longest = u128::from(doubled.min(self.max_micros));
        self.failures = self.failures.saturating_add(1);
        let bits = u128::from((now.entropy)());
        u64::try_from((longest * bits) >> 64).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use reapply_sync::Timestamp;
    use reapply_sync::room::Ticks;

    use super::*;

    fn waits(backoff: &mut Backoff, bits: u64, count: usize) -> Vec<u64> {
        let mut entropy = || bits;
        let mut now = Now { ticks: Ticks(0), time: Timestamp(0), entropy: &mut entropy };
        (0..count).map(|_| backoff.next(&mut now)).collect()
    }

    #[test]
    fn waits_double_up_to_the_limit_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(1_000, 5_000);
        assert_eq!(waits(&mut backoff, u64::MAX, 5), [999, 1_999, 3_999, 4_999, 4_999]);
        backoff.reset();
        assert_eq!(waits(&mut backoff, u64::MAX, 1), [999]);
    }

    #[test]
    fn a_wait_is_any_part_of_the_longest() {
        assert_eq!(waits(&mut Backoff::new(1_000, 5_000), 0, 1), [0]);
        assert_eq!(waits(&mut Backoff::new(1_000, 5_000), u64::MAX / 2, 1), [499]);
        assert!(waits(&mut Backoff::new(u64::MAX, u64::MAX), u64::MAX, 100).iter().all(|wait| *wait > u64::MAX / 2));
    }
}
