//! Whether anything that a page can look at has changed.

use reapply_sync::{Author, Digest, Presence, Seq};

/// The state of a page's connection to its room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// The room is being joined.
    #[default]
    Connecting,
    /// The present state of the room is shown.
    Live,
    /// The connection is cut off; the driver connects again by itself.
    Offline,
    /// The room is closed for good.
    Closed,
}

impl Status {
    /// Returns the status as one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Offline => "offline",
            Self::Closed => "closed",
        }
    }
}

/// The last values that a page could look at, and counts of their changes.
#[derive(Debug, Default)]
pub(super) struct Watch {
    shown: Shown,
    presence: Presence,
    states: States,
    revision: u32,
    states_revision: u32,
    presence_revision: u32,
}

/// The values that a view depends on, as far as they are known without making the view.
pub(super) type States = (Option<Seq>, Option<Digest>, usize);

/// The values that a page shows besides its views.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) status: Status,
    pub(super) reason: Option<String>,
    pub(super) pending: usize,
    pub(super) is_durable: bool,
    pub(super) participant: Option<Author>,
    pub(super) arriving: Option<(u64, u64)>,
}

impl Watch {
    /// Returns a number that changes whenever any value changes.
    pub(super) fn revision(&self) -> u32 {
        self.revision
    }

    /// Returns a number that changes whenever a view may have changed.
    pub(super) fn states_revision(&self) -> u32 {
        self.states_revision
    }

    /// Returns a number that changes whenever the participants change.
    pub(super) fn presence_revision(&self) -> u32 {
        self.presence_revision
    }

    /// Notes the values that are shown now.
    pub(super) fn note(&mut self, shown: Shown) {
        if self.shown != shown {
            self.shown = shown;
            self.revision = self.revision.wrapping_add(1);
        }
    }

    /// Notes the values that views depend on now.
    pub(super) fn note_states(&mut self, states: States) {
        if self.states != states {
            self.states = states;
            self.states_changed();
        }
    }

    /// Notes the participants who are present now.
    pub(super) fn note_presence(&mut self, presence: &Presence) {
        if self.presence != *presence {
            self.presence = presence.clone();
            self.presence_revision = self.presence_revision.wrapping_add(1);
            self.revision = self.revision.wrapping_add(1);
        }
    }

    /// Notes that a view may have changed, even if no other value shows it.
    pub(super) fn states_changed(&mut self) {
        self.states_revision = self.states_revision.wrapping_add(1);
        self.revision = self.revision.wrapping_add(1);
    }
}
