//! Random numbers from an event's entropy.

use std::ops::Range;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use crate::Id;

/// A stream of random numbers that depends only on an event's `entropy`: [xoshiro256++] (Blackman and Vigna), seeded by SplitMix64. Every
/// engine draws the same numbers. A client cannot foresee them, since the host draws the entropy when it accepts the event.
///
/// The stream is made for dice and shuffles: whoever has seen an event's entropy knows all of it.
///
/// ```
/// # use reapply_guest::{Event, Input};
/// # let event = Event { seq: 1, time: 0, entropy: 7, input: Input::Alarm(()) };
/// let mut rng = event.rng();
/// let pips = 1 + rng.below(6);
/// let mut deck: Vec<u8> = (0..52).collect();
/// rng.shuffle(&mut deck);
/// # assert!((1..=6).contains(&pips));
/// # deck.sort_unstable();
/// # assert!(deck.into_iter().eq(0..52));
/// ```
///
/// [xoshiro256++]: https://prng.di.unimi.it/
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng(Xoshiro256PlusPlus);

impl Rng {
    /// Creates the stream with this seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Returns 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Returns a number from 0 to below `bound`, each equally likely; 0 if the bound is 0.
    ///
    /// Uses multiplication with rejection (Lemire, "Fast Random Integer Generation in an Interval", 2019).
    pub fn below(&mut self, bound: u64) -> u64 {
        let unfair = bound.wrapping_neg().checked_rem(bound).unwrap_or(0);
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= unfair {
                return (product >> 64) as u64;
            }
        }
    }

    /// Returns a number in the range, each equally likely; its start if the range is empty.
    pub fn in_range(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end.saturating_sub(range.start))
    }

    /// Returns one of the items; `None` if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// Shuffles the items, each order equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// Returns a new id.
    pub fn id(&mut self) -> Id {
        Id::from_bits(u128::from(self.next_u64()) << 64 | u128::from(self.next_u64()))
    }
}
