//! What an upgrade tells while it goes on, and in the end: lines of JSON over HTTP.

use reapply_sync::Seq;
use serde::{Deserialize, Serialize};

use super::limits::ROOMS_NAMED_MAX;

/// One line of the answer. The last one is [`Line::Report`] or [`Line::Failed`]; without either, the answer broke off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum Line {
    /// What is going to be done.
    Plan(Plan),
    /// What the gate found of one room.
    Tried(Tried),
    /// A room runs the new build now.
    Upgraded {
        /// The room, as `machine/room`.
        room: String,
        /// The event that says so.
        seq: Seq,
    },
    /// A room could not be upgraded after all: it runs the build that it did.
    Kept {
        /// The room, as `machine/room`.
        room: String,
        /// Why.
        why: String,
    },
    /// What has come of it.
    Report(Report),
    /// The host failed, and the upgrade has ended before its end.
    Failed {
        /// Why.
        why: String,
    },
}

/// What an upgrade is going to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The build's digest.
    pub to: String,
    /// Rooms that will be tried, and then upgraded.
    pub rooms: u64,
    /// Rooms that run this build already.
    pub skipped: u64,
    /// Whether there are more rooms than one upgrade takes.
    pub more: bool,
}

/// What the gate found of one room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The room, as `machine/room`.
    pub room: String,
    /// The digest of the build that it runs.
    pub from: String,
    /// The last event of its log when it was tried.
    pub head: Seq,
    /// What the new build would do to it.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What a new build would do to a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// Nothing that can be seen.
    Same {
        /// Events that were played on both builds.
        replayed: u64,
    },
    /// Something that can be seen. It may be what the new build is for.
    Differs(Differences),
    /// The room cannot be upgraded to it.
    Fails(Failure),
    /// The room does not work on the build that it runs either: its log does not lead to a state. The upgrade leaves it as it is.
    Broken(Failure),
}

/// How a room differs on the new build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// Events that were played on both builds.
    pub replayed: u64,
    /// The view now and the view right after the upgrade, as a unified diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// The view right after the upgrade, and the view if the new build had handled the replayed events, as a unified diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// What the new build would have refused of the replayed events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// Events that one build accepted and the other refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The first of them.
    pub seq: Seq,
    /// Its transition, as JSON in a text, cut to a length fit for a message.
    pub transition: String,
    /// What the new build says.
    pub why: String,
    /// How many there are.
    pub count: u64,
}

/// Why a room cannot be upgraded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step} at {seq}: {why}")]
pub struct Failure {
    /// What was tried.
    pub step: Step,
    /// The state or the event that it was tried with.
    pub seq: Seq,
    /// What went wrong.
    pub why: String,
}

/// What the gate does with a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Reading the room's log.
    Read,
    /// Making the room's state on the build that it runs.
    Past,
    /// Starting the new build.
    Start,
    /// Restoring a state on the new build.
    Restore,
    /// Playing an event on the new build.
    Replay,
    /// Showing a state on the new build.
    View,
    /// Taking a snapshot on the new build.
    Snapshot,
    /// Asking a state on the new build for its alarm.
    Alarm,
}

/// What has come of an upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The build's digest.
    pub to: String,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// Rooms that ran the build already.
    pub skipped: u64,
    /// Rooms that would look and act the same.
    pub same: u64,
    /// Rooms that would look or act otherwise.
    pub differ: u64,
    /// Rooms that the gate refused.
    pub failing: Named,
    /// Rooms that were broken before. They stop an upgrade only where it was asked to be of all rooms or none.
    #[serde(default)]
    pub broken: Named,
    /// Rooms that were upgraded.
    pub upgraded: u64,
    /// Rooms that stayed as they were, though the gate had let them pass.
    pub kept: Named,
    /// Whether there are more rooms than one upgrade takes.
    pub more: bool,
}

/// Rooms that something went wrong with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// How many.
    pub count: u64,
    /// The first of them, as `machine/room`.
    pub rooms: Vec<String>,
}

impl Report {
    /// Whether all went as it was asked for.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failing.count == 0 && self.kept.count == 0
    }

    pub(super) fn count(&mut self, tried: &Tried) {
        match &tried.finding {
            Finding::Same { .. } => self.same += 1,
            Finding::Differs(_) => self.differ += 1,
            Finding::Fails(_) => self.failing.add(&tried.room),
            Finding::Broken(_) => self.broken.add(&tried.room),
        }
    }
}

impl Named {
    pub(super) fn add(&mut self, room: &str) {
        self.count += 1;
        if self.rooms.len() < ROOMS_NAMED_MAX {
            self.rooms.push(room.to_owned());
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "the log cannot be read for the state",
            Self::Past => "the build that it runs cannot make the state",
            Self::Start => "the new build cannot be started for the state",
            Self::Restore => "the new build cannot restore the state",
            Self::Replay => "the new build cannot play the event",
            Self::View => "the new build cannot show the state",
            Self::Snapshot => "the new build cannot take a snapshot of the state",
            Self::Alarm => "the new build cannot tell the alarm of the state",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_flat_json_and_come_back() {
        let failure = Failure { step: Step::Restore, seq: Seq(7), why: "no".to_owned() };
        let finding = Finding::Fails(failure);
        let tried = Tried { room: "notes/a".to_owned(), from: "00".to_owned(), head: Seq(9), finding };
        let json = serde_json::to_string(&Line::Tried(tried.clone())).unwrap();
        let expected = r#"{"line":"tried","room":"notes/a","from":"00","head":9,"finding":"fails","step":"restore","seq":7,"why":"no"}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), Line::Tried(tried));
    }
}
