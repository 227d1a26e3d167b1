//! The note that a room has handed to the journal.

use super::effect::Note;

/// The journal's note about a room, as far as the room knows it.
#[derive(Debug)]
pub(super) struct Notes {
    /// The last note that was handed to the journal, which handles requests in order.
    pub(super) handed: Note,
    /// Whether the journal refused that note, and so still has another one.
    pub(super) is_refused: bool,
    /// Whether somebody woke the room for its alarm, and waits until the alarm is settled.
    pub(super) is_rung: bool,
}

impl Notes {
    /// Returns the notes of a room that opens while the journal has this one.
    pub(super) fn new(noted: Note) -> Self {
        Self { handed: noted, is_refused: false, is_rung: false }
    }

    /// Handles that the note went with a batch that was not stored.
    pub(super) fn handle_refused(&mut self) {
        self.is_refused = true;
    }
}
