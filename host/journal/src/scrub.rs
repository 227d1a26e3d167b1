//! The progress of proving the stored data.

use reapply_sync::RoomId;

/// The progress of proving everything a journal stores, and the findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// The number of rooms that the pass has proved.
    pub rooms: u64,
    /// The number of bytes of their events.
    pub bytes: u64,
    /// Whether the pass is complete.
    pub is_done: bool,
    /// The damaged rooms, with the damage. They are not served.
    pub damaged: Vec<(RoomId, String)>,
    /// Damage outside of rooms: a missing row, a component.
    pub elsewhere: Vec<String>,
}

impl ScrubReport {
    /// Returns whether the pass is complete, and nothing is damaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_done && self.damaged.is_empty() && self.elsewhere.is_empty()
    }
}
