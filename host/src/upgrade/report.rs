//! The report of an upgrade, during and after it: lines of JSON over HTTP.

use reapply_sync::Seq;
use serde::{Deserialize, Serialize};

use super::limits::ROOMS_NAMED_MAX;

/// One line of the answer. The last one is [`Line::Report`] or [`Line::Failed`]; without either, the answer is incomplete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum Line {
    /// The plan of the upgrade.
    Plan(Plan),
    /// The gate's finding for one room.
    Tried(Tried),
    /// A room runs the new build now.
    Upgraded {
        /// The room, as `machine/room`.
        room: String,
        /// The seq of the upgrade's event.
        seq: Seq,
    },
    /// A room could not be upgraded after all, and keeps its build.
    Kept {
        /// The room, as `machine/room`.
        room: String,
        /// The reason.
        why: String,
    },
    /// The result.
    Report(UpgradeReport),
    /// The host failed, and the upgrade has ended early.
    Failed {
        /// The reason.
        why: String,
    },
}

/// The plan of an upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The build's digest.
    pub to: String,
    /// The number of rooms that will be tried, and then upgraded.
    pub rooms: u64,
    /// The number of rooms that run this build already.
    pub skipped: u64,
    /// Whether there are more rooms than the limit of one upgrade.
    pub more: bool,
}

/// The gate's finding for one room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The room, as `machine/room`.
    pub room: String,
    /// The digest of the build that it runs.
    pub from: String,
    /// The last event of its log when it was tried.
    pub head: Seq,
    /// The effect of the new build on it.
    #[serde(flatten)]
    pub finding: UpgradeEffect,
}

/// The effect of a new build on a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum UpgradeEffect {
    /// No visible difference.
    Same {
        /// The number of events that were played on both builds.
        replayed: u64,
    },
    /// A visible difference. It may be intended.
    Differs(Differences),
    /// The room cannot be upgraded to the build.
    Fails(Failure),
    /// The room does not work on its own build either: its log does not lead to a state. The upgrade leaves it as it is.
    Broken(Failure),
}

/// The differences of a room on the new build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// The number of events that were played on both builds.
    pub replayed: u64,
    /// The view now and the view right after the upgrade, as a unified diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// The view right after the upgrade, and the view if the new build had handled the replayed events, as a unified diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// The replayed events that the new build would have refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// Events that one build accepted and the other refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The seq of the first of them.
    pub seq: Seq,
    /// Its transition, as JSON in a text, cut to a length fit for a message.
    pub transition: String,
    /// The new build's reason.
    pub why: String,
    /// The number of such events.
    pub count: u64,
}

/// The reason why a room cannot be upgraded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step} at {seq}: {why}")]
pub struct Failure {
    /// The step that failed.
    pub step: Step,
    /// The state or the event that it was tried with.
    pub seq: Seq,
    /// The error.
    pub why: String,
}

/// A step of the gate.
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
    /// Reading the alarm of a state on the new build.
    Alarm,
}

/// The result of an upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeReport {
    /// The build's digest.
    pub to: String,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// The number of rooms that ran the build already.
    pub skipped: u64,
    /// The number of rooms that would look and act the same.
    pub same: u64,
    /// The number of rooms that would look or act differently.
    pub differ: u64,
    /// Rooms that the gate refused.
    pub failing: Named,
    /// Rooms that were already broken. They stop an upgrade only if it must be of all rooms or none.
    #[serde(default)]
    pub broken: Named,
    /// Rooms that were upgraded.
    pub upgraded: u64,
    /// Rooms that kept their build, although the gate had let them pass.
    pub kept: Named,
    /// Whether there are more rooms than the limit of one upgrade.
    pub more: bool,
}

/// Rooms with a common problem.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The number of rooms.
    pub count: u64,
    /// The first of them, as `machine/room`.
    pub rooms: Vec<String>,
}

impl UpgradeReport {
    /// Returns whether everything succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failing.count == 0 && self.kept.count == 0
    }

    pub(super) fn count(&mut self, tried: &Tried) {
        match &tried.finding {
            UpgradeEffect::Same { .. } => self.same += 1,
            UpgradeEffect::Differs(_) => self.differ += 1,
            UpgradeEffect::Fails(_) => self.failing.add(&tried.room),
            UpgradeEffect::Broken(_) => self.broken.add(&tried.room),
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
        let finding = UpgradeEffect::Fails(failure);
        let tried = Tried { room: "notes/a".to_owned(), from: "00".to_owned(), head: Seq(9), finding };
        let json = serde_json::to_string(&Line::Tried(tried.clone())).unwrap();
        let expected = r#"{"line":"tried","room":"notes/a","from":"00","head":9,"finding":"fails","step":"restore","seq":7,"why":"no"}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), Line::Tried(tried));
    }
}
