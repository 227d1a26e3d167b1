//! The bounds of collections.

/// The maximum number of entries of a [`Map`](crate::Map), [`Set`](crate::Set) or [`List`](crate::List) whose type sets no other bound.
pub const ENTRIES_MAX: u32 = 128 * 1024;

/// The maximum number of bytes of all entries of a [`Map`](crate::Map), [`Set`](crate::Set) or [`List`](crate::List) whose type sets no
/// other bound. As JSON, and with the copies made on the way, they fit into the memory that a host gives a machine.
pub const BYTES_MAX: u32 = 4 * 1024 * 1024;

/// The size of a collection, as its bounds count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) entries: usize,
    pub(super) bytes: u64,
}

impl Load {
    /// Returns whether a collection that held `before` has grown beyond a bound. A collection that was already beyond one may stay, and
    /// shrink.
    pub(super) fn is_too_much(self, before: Self, entries_max: u32, bytes_max: u32) -> bool {
        let has_grown = (self.entries > before.entries, self.bytes > before.bytes);
        (has_grown.0 && self.entries > entries_max as usize) || (has_grown.1 && self.bytes > bytes_max.into())
    }
}
