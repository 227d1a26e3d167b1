//! A token bucket that holds one second's worth. A client that empties it waits; nothing is lost.

use std::time::{Duration, Instant};

/// The bucket of one rate.
#[derive(Debug)]
pub(super) struct Throttle {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Throttle {
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, tokens: per_second, filled: Instant::now() }
    }

    /// Takes one token. It may overdraw: then there is a time to wait.
    pub(super) fn take(&mut self) {
        self.tokens -= 1.0;
    }

    /// Returns the time to wait before the next token may be taken.
    pub(super) fn wait(&mut self) -> Option<Duration> {
        // The clock is read only when the bucket looks empty.
        if self.tokens >= 1.0 {
            return None;
        }
        let elapsed = self.filled.elapsed();
        self.filled += elapsed;
        self.tokens = (self.tokens + elapsed.as_secs_f64() * self.per_second).min(self.per_second);
        (self.tokens < 1.0).then(|| Duration::from_secs_f64((1.0 - self.tokens) / self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_at_once_and_the_rest_waits_in_proportion() {
        let mut throttle = Throttle::new(10);
        for _ in 0..10 {
            assert_eq!(throttle.wait(), None);
            throttle.take();
        }
        // Real time passes while this runs, so only the bound is certain.
        assert!(throttle.wait().is_none_or(|wait| wait <= Duration::from_millis(100)));
        throttle.filled -= Duration::from_secs(60);
        assert_eq!(throttle.wait(), None);
        assert!(throttle.tokens <= 10.0);
    }
}
