//! An upgrade, from the request to the report.

use std::sync::Arc;

use futures_util::StreamExt;
use reapply_journal::{Journal, JournalError, RoomRecord};
use reapply_machine::Build;
use reapply_sync::{Digest, Name, RoomId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::{info, warn};

use super::gate;
use super::limits::{DIGEST_DIGITS_MIN, TRIALS_AT_ONCE, UPGRADE_ROOMS_MAX};
use super::report::{Line, Plan, Tried, UpgradeEffect, UpgradeReport};
use crate::log::Logs;
use crate::machines::MachinesError;
use crate::room::Rooms;

/// The number of rooms that are read from the journal's list at a time.
const LISTED_AT_ONCE: usize = 1_000;

/// The number of digits of a whole digest.
const DIGEST_DIGITS: usize = 64;

/// The maximum number of digests that are named if an abbreviation is ambiguous.
const DIGESTS_NAMED_MAX: usize = 4;

/// The upgrades of a host's rooms, one at a time. Cheap to clone.
#[derive(Clone)]
pub struct Upgrades {
    rooms: Rooms,
    turn: Arc<Semaphore>,
}

/// A request for an upgrade.
#[derive(Clone, Debug)]
pub struct UpgradeRequest {
    /// The rooms.
    pub which: UpgradeTarget,
    /// The build's digest, or the beginning of it; by default the machine's current build.
    pub to: Option<String>,
    /// Whether to stop after the gate.
    pub dry_run: bool,
    /// Whether a room that was already broken stops the upgrade of all others.
    pub all_or_nothing: bool,
    /// The number of events that the gate plays of each room.
    pub replay: u64,
}

/// The rooms that are to be upgraded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeTarget {
    /// All rooms of a machine.
    Machine(Name),
    /// One room.
    Room(RoomId),
}

/// An upgrade that is ready to run. No other upgrade can begin before it is dropped.
pub struct UpgradeJob {
    rooms: Rooms,
    which: UpgradeTarget,
    to: Build,
    dry_run: bool,
    all_or_nothing: bool,
    replay: u64,
    _turn: OwnedSemaphorePermit,
}

/// The reason why an upgrade cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeJobError {
    /// There is no machine of that name.
    #[error("there is no machine {0}")]
    NoSuchMachine(Name),
    /// There is no such room.
    #[error("there is no room {0}")]
    NoSuchRoom(RoomId),
    /// The text is not a digest, nor the beginning of one.
    #[error("{0:?} is not a digest: give at least the first {DIGEST_DIGITS_MIN} of a digest's hexadecimal digits")]
    NoDigest(String),
    /// No build has this digest.
    #[error("no build that was ever deployed here has a digest that begins with {0}")]
    NoSuchBuild(String),
    /// Several builds have digests that begin like this.
    #[error("several builds have digests that begin with {asked}: {found}; give more digits")]
    Ambiguous {
        /// The digits that were given.
        asked: String,
        /// Some of the digests.
        found: String,
    },
    /// Another upgrade is under way.
    #[error("another upgrade is under way on this host; try again when it has ended")]
    Busy,
    /// The build is not available.
    #[error(transparent)]
    Machines(#[from] MachinesError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Upgrades {
    /// Returns the upgrades of these rooms.
    #[must_use]
    pub fn new(rooms: Rooms) -> Self {
        Self { rooms, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Checks that the rooms and the build exist, and reserves the host's one place for an upgrade.
    ///
    /// # Errors
    ///
    /// There is no such machine, room or build, or another upgrade is under way.
    pub async fn begin(&self, asked: UpgradeRequest) -> Result<UpgradeJob, UpgradeJobError> {
        let UpgradeRequest { which, to, dry_run, all_or_nothing, replay } = asked;
        let turn = Arc::clone(&self.turn).try_acquire_owned().map_err(|_| UpgradeJobError::Busy)?;
        let Logs { journal, machines, .. } = self.rooms.logs();
        let machine = match &which {
            UpgradeTarget::Machine(machine) => machine,
            UpgradeTarget::Room(room) => {
                if journal.room(room).await?.is_none() && machines.current(&room.machine).await?.is_some() {
                    return Err(UpgradeJobError::NoSuchRoom(room.clone()));
                }
                &room.machine
            }
        };
        let current = machines.current(machine).await?;
        let current = current.ok_or_else(|| UpgradeJobError::NoSuchMachine(machine.clone()))?;
        let digest = match to {
            Some(to) => find_build(journal, &to).await?,
            None => current.digest,
        };
        let build = machines.build(digest).await?;
        let to = build.ok_or_else(|| UpgradeJobError::NoSuchBuild(digest.to_string()))?;
        Ok(UpgradeJob { rooms: self.rooms.clone(), which, to, dry_run, all_or_nothing, replay, _turn: turn })
    }
}

impl UpgradeJob {
    /// Carries out the upgrade, and reports its actions as lines. If the receiver is dropped, the upgrade stops; rooms that were upgraded by then
    /// stay upgraded.
    pub async fn run(self, lines: mpsc::Sender<Line>) {
        match self.try_run(&lines).await {
            Ok(report) => {
                info!(to = report.to, upgraded = report.upgraded, kept = report.kept.count, "an upgrade has ended");
                let _gone = lines.send(Line::Report(report)).await;
            }
            Err(Stopped::Gone) => {
                info!(to = %self.to.digest(), "the client disconnected, so the upgrade has ended early")
            }
            Err(Stopped::Failed(error)) => {
                warn!(to = %self.to.digest(), %error, "an upgrade failed");
                let _gone = lines.send(Line::Failed { why: error.to_string() }).await;
            }
        }
    }

    async fn try_run(&self, lines: &mpsc::Sender<Line>) -> Result<UpgradeReport, Stopped> {
        let (rooms, plan) = self.plan().await?;
        let Plan { to, skipped, more, .. } = plan.clone();
        tell(lines, Line::Plan(plan)).await?;
        let mut report = UpgradeReport { to, skipped, more, dry_run: self.dry_run, ..UpgradeReport::default() };
        let sound = self.pass_gate(&rooms, &mut report, lines).await?;
        if !self.dry_run && report.failing.count == 0 {
            for room in sound {
                let line = self.upgrade(room).await;
                match &line {
                    Line::Kept { room, .. } => report.kept.add(room),
                    _ => report.upgraded += 1,
                }
                tell(lines, line).await?;
            }
        }
        Ok(report)
    }

    /// Returns the rooms that do not run the build yet.
    async fn plan(&self) -> Result<(Vec<RoomId>, Plan), JournalError> {
        let journal = &self.rooms.logs().journal;
        let mut rooms = Vec::new();
        let mut plan = Plan { to: self.to.digest().to_string(), rooms: 0, skipped: 0, more: false };
        let mut take = |record: &RoomRecord| match record.digest == self.to.digest() {
            true => plan.skipped += 1,
            false if rooms.len() >= UPGRADE_ROOMS_MAX => plan.more = true,
            false => rooms.push(record.room.clone()),
        };
        match &self.which {
            UpgradeTarget::Room(room) => journal.room(room).await?.iter().for_each(take),
            UpgradeTarget::Machine(machine) => {
                let mut after = None;
                loop {
                    let listed = journal.rooms(Some(machine), after.as_ref(), LISTED_AT_ONCE).await?;
                    let Some(last) = listed.last() else { break };
                    after = Some(last.room.clone());
                    listed.iter().for_each(&mut take);
                }
            }
        }
        plan.rooms = rooms.len() as u64;
        Ok((rooms, plan))
    }

    /// Tries all rooms, and returns those that are not broken.
    async fn pass_gate<'a>(
        &self,
        rooms: &'a [RoomId],
        report: &mut UpgradeReport,
        lines: &mpsc::Sender<Line>,
    ) -> Result<Vec<&'a RoomId>, Stopped> {
        let mut sound = Vec::new();
        let trials = (0..rooms.len()).map(|index| self.try_room(&rooms[index]));
        let mut trials = futures_util::stream::iter(trials).buffered(TRIALS_AT_ONCE);
        for room in rooms {
            let Some(tried) = trials.next().await else { break };
            let mut tried = tried?;
            match tried.finding {
                UpgradeEffect::Broken(failure) if self.all_or_nothing => tried.finding = UpgradeEffect::Fails(failure),
                UpgradeEffect::Broken(_) => {}
                _ => sound.push(room),
            }
            report.count(&tried);
            tell(lines, Line::Tried(tried)).await?;
        }
        Ok(sound)
    }

    async fn try_room(&self, room: &RoomId) -> Result<Tried, JournalError> {
        let record = self.rooms.logs().journal.room(room).await?;
        let record = record.ok_or_else(|| JournalError::NoSuchRoom(room.clone()))?;
        Ok(gate::try_room(self.rooms.logs(), &record, &self.to, self.replay).await)
    }

    async fn upgrade(&self, room: &RoomId) -> Line {
        let upgraded = self.rooms.upgrade(room, &self.to).await;
        let name = room.to_string();
        match upgraded {
            Ok(seq) => {
                info!(room = name, to = %self.to.digest(), %seq, "a room was upgraded");
                Line::Upgraded { room: name, seq }
            }
            Err(why) => {
                warn!(room = name, to = %self.to.digest(), %why, "a room was not upgraded, and stays as it is");
                Line::Kept { room: name, why: why.to_string() }
            }
        }
    }
}

/// The reason why an upgrade ended early.
enum Stopped {
    /// The receiver was dropped.
    Gone,
    Failed(JournalError),
}

impl From<JournalError> for Stopped {
    fn from(error: JournalError) -> Self {
        Self::Failed(error)
    }
}

async fn tell(lines: &mpsc::Sender<Line>, line: Line) -> Result<(), Stopped> {
    lines.send(line).await.map_err(|_| Stopped::Gone)
}

/// Returns the only stored build whose digest begins with these digits.
async fn find_build(journal: &Arc<dyn Journal>, asked: &str) -> Result<Digest, UpgradeJobError> {
    let asked = asked.to_ascii_lowercase();
    let bound = |digit: char| {
        let is_long_enough = asked.len() >= DIGEST_DIGITS_MIN;
        let padded = format!("{asked}{}", digit.to_string().repeat(DIGEST_DIGITS.saturating_sub(asked.len())));
        padded.parse::<Digest>().ok().filter(|_| is_long_enough)
    };
    let (Some(first), Some(last)) = (bound('0'), bound('f')) else { return Err(UpgradeJobError::NoDigest(asked)) };
    let found = journal.digests(first, last, DIGESTS_NAMED_MAX + 1).await?;
    match found[..] {
        [] => Err(UpgradeJobError::NoSuchBuild(asked)),
        [digest] => Ok(digest),
        _ => Err(UpgradeJobError::Ambiguous { asked, found: list(&found) }),
    }
}

fn list(digests: &[Digest]) -> String {
    let named: Vec<String> = digests.iter().take(DIGESTS_NAMED_MAX).map(Digest::to_string).collect();
    let more = if digests.len() > DIGESTS_NAMED_MAX { " and more" } else { "" };
    named.join(", ") + more
}
