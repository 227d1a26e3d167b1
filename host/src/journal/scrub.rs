//! What a journal has proved of what it stores.

use reapply_sync::RoomId;

/// How far the journal has come with proving all that it stores, and what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Rooms that the pass has gone through.
    pub rooms: u64,
    /// Bytes of their events.
    pub bytes: u64,
    /// Whether the pass has gone through everything.
    pub is_done: bool,
    /// The rooms that are damaged, with what is wrong. They are not served.
    pub damaged: Vec<(RoomId, String)>,
    /// Damage that is no room's: a missing row, a component.
    pub elsewhere: Vec<String>,
}

impl ScrubReport {
    /// Whether the pass has gone through everything, and nothing is damaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_done && self.damaged.is_empty() && self.elsewhere.is_empty()
    }
}
