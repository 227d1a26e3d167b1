//! What a sequence asks of its entries.

/// An entry that has a place in a [`Sequence`](super::Sequence).
pub(in crate::blocks) trait Entry: Clone {
    /// The type of the keys that find entries.
    type Key: Copy + Ord;

    /// Returns the entry's key, which never changes.
    fn key(&self) -> Self::Key;

    /// Returns whether [`Sequence::beside_shown`](super::Sequence::beside_shown) stops here.
    fn is_shown(&self) -> bool {
        true
    }
}
