//! The clocks and random bits of the page's engine.

use reapply_sync::Timestamp;
use reapply_sync::room::{Now, Ticks};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill(bytes: &mut [u8]);
}

/// The number of random bytes that are drawn at a time.
const POOL_BYTES: usize = 512;

/// A source of random bits, which draws many at a time.
pub(crate) struct Entropy {
    pool: [u8; POOL_BYTES],
    left: usize,
}

impl Entropy {
    pub(crate) const fn new() -> Self {
        Self { pool: [0; POOL_BYTES], left: 0 }
    }

    /// Returns 64 random bits.
    pub(crate) fn draw(&mut self) -> u64 {
        if self.left == 0 {
            fill(&mut self.pool);
            self.left = POOL_BYTES;
        }
        let bits = self.pool[..self.left].last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self.left -= size_of::<u64>();
        bits
    }
}

/// Calls `f` with the present time.
pub(crate) fn with_now<T>(entropy: &mut Entropy, f: impl FnOnce(&mut Now<'_>) -> T) -> T {
    let ticks = Ticks((performance_now() * 1_000.0) as u64);
    let time = Timestamp((js_sys::Date::now() * 1_000.0) as u64);
    f(&mut Now { ticks, time, entropy: &mut || entropy.draw() })
}
