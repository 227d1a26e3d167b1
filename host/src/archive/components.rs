//! The components that the reader of an export has at hand. Writers and readers follow the same rule, so that every export can be proved and
//! imported.

use std::collections::{BTreeSet, VecDeque};

use reapply_sync::Digest;

use super::limits::{COMPONENTS_BYTES_MAX, COMPONENTS_WINDOW_BYTES};

/// The components of an export, in the order of the file: the last ones are at hand.
pub(super) struct Components {
    /// The components at hand, with their sizes, the oldest first.
    window: VecDeque<(Digest, usize)>,
    window_bytes: usize,
    window_bytes_max: usize,
    /// Every component so far.
    seen: BTreeSet<Digest>,
    bytes: u64,
    bytes_max: u64,
}

impl Default for Components {
    fn default() -> Self {
        Self::within(COMPONENTS_WINDOW_BYTES, COMPONENTS_BYTES_MAX)
    }
}

impl Components {
    fn within(window_bytes_max: usize, bytes_max: u64) -> Self {
        let (window, seen) = (VecDeque::new(), BTreeSet::new());
        Self { window, window_bytes: 0, window_bytes_max, seen, bytes: 0, bytes_max }
    }

    /// Returns whether a component is at hand.
    pub(super) fn has(&self, digest: Digest) -> bool {
        self.window.iter().any(|(other, _)| *other == digest)
    }

    /// Adds the next component of the file. Returns the ones that are no longer at hand.
    ///
    /// # Errors
    ///
    /// The export would have more components than the limit.
    pub(super) fn add(&mut self, digest: Digest, bytes: usize) -> Result<Vec<Digest>, String> {
        if self.seen.insert(digest) {
            self.bytes = self.bytes.saturating_add(bytes as u64);
        }
        if self.bytes > self.bytes_max {
            return Err(format!(
                "with it the components of the log have {} bytes; the limit is {}",
                self.bytes, self.bytes_max
            ));
        }
        self.window.retain(|(other, _)| *other != digest);
        self.window.push_back((digest, bytes));
        self.window_bytes = self.window.iter().map(|(_, bytes)| bytes).sum();
        let mut dropped = Vec::new();
        while self.window_bytes > self.window_bytes_max && self.window.len() > 1 {
            let Some((oldest, bytes)) = self.window.pop_front() else { break };
            self.window_bytes -= bytes;
            dropped.push(oldest);
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> Digest {
        Digest([number; 32])
    }

    #[test]
    fn the_last_components_are_at_hand_and_one_is_whatever_its_size() {
        let mut components = Components::within(100, 1_000);
        assert_eq!(components.add(digest(1), 40), Ok(vec![]));
        assert_eq!(components.add(digest(2), 60), Ok(vec![]));
        assert_eq!(components.add(digest(3), 50), Ok(vec![digest(1), digest(2)]));
        assert!(components.has(digest(3)) && !components.has(digest(1)));
        assert_eq!(components.add(digest(3), 50), Ok(vec![]), "the same once more takes no more of the window");
        assert_eq!(components.add(digest(1), 40), Ok(vec![]));
        assert_eq!(components.add(digest(4), 101), Ok(vec![digest(3), digest(1)]));
        assert!(components.has(digest(4)));
    }

    #[test]
    fn all_components_together_are_bounded_and_one_counts_once() {
        let mut components = Components::within(100, 150);
        for _ in 0..10 {
            components.add(digest(1), 80).unwrap();
            components.add(digest(2), 70).unwrap();
        }
        let why = components.add(digest(3), 1).unwrap_err();
        assert_eq!(why, "with it the components of the log have 151 bytes; the limit is 150");
    }
}
