//! The size of a text, stored and shown.

use super::run::Run;

/// The bytes that a piece takes besides its characters and marks: numbers, and sometimes an id.
const PIECE_BYTES: u64 = 16;

/// Sums over the pieces of a text, that is, over runs as long as possible. The sums do not depend on the division into
/// runs in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) pieces: u32,
    /// The bytes of the names and values of each piece's marks.
    pub(super) mark_bytes: u64,
    /// The bytes of the characters that are not deleted.
    pub(super) text_bytes: u64,
}

impl Weight {
    /// Returns the weight of runs in order, without the first one if it continues `before`, which stands directly before it.
    pub(super) fn of<'a>(mut before: Option<&'a Run>, runs: impl IntoIterator<Item = &'a Run>) -> Self {
        let mut weight = Self::default();
        for run in runs {
            if !before.is_some_and(|before| before.continues_with(run)) {
                weight.pieces += 1;
                weight.mark_bytes += run.marks().map_or(0, |marks| u64::from(marks.bytes()));
            }
            weight.text_bytes += run.text().len() as u64;
            before = Some(run);
        }
        weight
    }

    /// Returns the approximate number of bytes that a text of this weight takes in a snapshot.
    pub(super) fn stored_bytes(self) -> u64 {
        u64::from(self.pieces) * PIECE_BYTES + self.mark_bytes + self.text_bytes
    }

    /// Replaces a part of the weight by another.
    pub(super) fn replace(&mut self, old: Self, new: Self) {
        self.pieces = self.pieces - old.pieces + new.pieces;
        self.mark_bytes = self.mark_bytes - old.mark_bytes + new.mark_bytes;
        self.text_bytes = self.text_bytes - old.text_bytes + new.text_bytes;
    }
}
