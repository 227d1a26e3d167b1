//! The check's own random numbers: the same seed explores the same histories everywhere.

/// SplitMix64: small, fast, and good enough for choosing what to try.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Returns a separate stream for each part of a seed.
    pub(crate) fn new(seed: u64, part: u64) -> Self {
        let mut random = Self(seed);
        Self(random.bits() ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.bits() % end as u64) as usize }
    }

    /// Returns a number from `least` to `most`, inclusive; `least` if the range is empty.
    pub(crate) fn between(&mut self, least: i128, most: i128) -> i128 {
        let span = most.saturating_sub(least).max(0).unsigned_abs();
        let wide = u128::from(self.bits()) << 64 | u128::from(self.bits());
        let offset = if span == u128::MAX { wide } else { wide % (span + 1) };
        least.saturating_add(i128::try_from(offset).unwrap_or(i128::MAX))
    }

    /// Returns true in the given percentage of cases.
    pub(crate) fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    pub(crate) fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        among.get(self.below(among.len()))
    }
}
