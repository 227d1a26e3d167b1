//! `reapply upgrade`: switches rooms to another build, after a trial of what would change.

use std::io::{BufRead, BufReader, IsTerminal, Write};

use anyhow::{Context, bail};
use reapply_sync::{Name, RoomId};
use serde_json::json;

use super::count::{count, count_of};
use super::differences::Differing;
use super::print;
use super::remote::Remote;
use reapply_host::upgrade::limits::REPLAY_EVENTS;
use reapply_host::upgrade::report::{Line, Named, Plan, Tried, UpgradeEffect, UpgradeReport};

/// The number of digits of a digest that are shown to people.
const DIGITS_SHOWN: usize = 12;

/// Arguments of `reapply upgrade`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Machine, for all of its rooms, or a single room as `machine/room`.
    #[arg(value_name = "MACHINE|ROOM")]
    which: UpgradeTarget,
    /// Digest of the build, or the beginning of it. By default, the build that was deployed last.
    #[arg(long, value_name = "DIGEST")]
    to: Option<String>,
    /// Print what would happen, without changing anything. Fails if the upgrade would be refused.
    #[arg(long)]
    dry_run: bool,
    /// Refuse the whole upgrade if a room was already broken. By default, such a room is named and left as it is.
    #[arg(long)]
    all_or_nothing: bool,
    /// Number of events of each room to play on both builds.
    #[arg(long, value_name = "N", default_value_t = REPLAY_EVENTS)]
    replay: u64,
    /// Print all differences in each room, not only a summary.
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Debug)]
enum UpgradeTarget {
    Machine(Name),
    Room(RoomId),
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let Args { which, to, dry_run, all_or_nothing, replay, diff, remote } = args;
    let path = match which {
        UpgradeTarget::Machine(machine) => format!("/machines/{machine}/upgrade"),
        UpgradeTarget::Room(RoomId { machine, room }) => format!("/rooms/{machine}/{room}/upgrade"),
    };
    let mut how = json!({ "dry_run": dry_run, "all_or_nothing": all_or_nothing, "replay": replay });
    if let Some(to) = to {
        how["to"] = json!(to);
    }
    let request = remote.request("POST", &path).header("content-type", "application/json").body(how.to_string())?;
    let answer = remote.accepted(remote.send(request, None)?)?;
    let mut printer = Printer { differing: Differing::new(*diff), ..Printer::default() };
    for line in BufReader::new(answer.into_body().into_reader()).lines() {
        let line = line.ok().and_then(|line| serde_json::from_str(&line).ok());
        match line.context(BROKE_OFF)? {
            Line::Report(report) => return printer.conclude(&report),
            Line::Failed { why } => {
                bail!("{why}; the rooms listed as upgraded are upgraded. Run the command again for the rest")
            }
            line => printer.print(&line)?,
        }
    }
    bail!(BROKE_OFF)
}

const BROKE_OFF: &str =
    "the host's answer is incomplete; the rooms listed as upgraded are upgraded. Run the command again for the rest";

impl std::str::FromStr for UpgradeTarget {
    type Err = reapply_sync::RoomIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text.contains('/') { Self::Room(text.parse()?) } else { Self::Machine(text.parse()?) })
    }
}

/// Prints the host's report for people.
#[derive(Debug, Default)]
struct Printer {
    rooms: u64,
    tried: u64,
    differing: Differing,
}

impl Printer {
    fn print(&mut self, line: &Line) -> anyhow::Result<()> {
        let mut text = String::new();
        match line {
            Line::Plan(plan) => self.print_plan(plan, &mut text),
            Line::Tried(tried) => self.print_tried(tried, &mut text),
            Line::Upgraded { room, seq } => text = format!("upgraded {room} at event {seq}\n"),
            Line::Kept { room, why } => text = format!("kept     {room}: {why}\n"),
            Line::Report(_) | Line::Failed { .. } => {}
        }
        self.progress(false);
        print::text(&text)?;
        self.progress(true);
        Ok(())
    }

    fn print_plan(&mut self, plan: &Plan, text: &mut String) {
        self.rooms = plan.rooms;
        let rooms = count(plan.rooms, "room");
        *text = format!("{rooms} to try with {}", short(&plan.to));
        if plan.skipped > 0 {
            text.push_str(&format!("; {} it already", count_of(plan.skipped, "room runs", "rooms run")));
        }
        if plan.more {
            text.push_str("; there are more: run the command again for them");
        }
        text.push('\n');
    }

    fn print_tried(&mut self, tried: &Tried, text: &mut String) {
        self.tried += 1;
        let room = &tried.room;
        match &tried.finding {
            UpgradeEffect::Same { .. } => {}
            UpgradeEffect::Fails(failure) => *text = format!("fails    {room}: {failure}\n"),
            UpgradeEffect::Broken(failure) => *text = format!("broken   {room}: {failure}\n"),
            UpgradeEffect::Differs(differences) => *text = self.differing.tell(room, differences),
        }
    }

    /// Writes the progress to a terminal, or clears that line.
    fn progress(&self, is_shown: bool) {
        let mut terminal = std::io::stderr();
        if terminal.is_terminal() {
            let _nobody_looks = match is_shown && self.tried < self.rooms {
                true => write!(terminal, "\r{} of {} tried", self.tried, self.rooms),
                false => write!(terminal, "\r\x1b[K"),
            };
        }
    }

    fn conclude(&self, report: &UpgradeReport) -> anyhow::Result<()> {
        self.progress(false);
        print::text(&self.differing.conclude())?;
        let UpgradeReport { same, differ, failing, broken, kept, upgraded, .. } = report;
        let tried = same + differ + failing.count + broken.count;
        if failing.count > 0 {
            let refused = if report.dry_run { "would be refused" } else { "is refused, and nothing has changed" };
            bail!(
                "the upgrade {refused}: {} of {} would fail: {}",
                failing.count,
                count(tried, "room"),
                named(failing)
            );
        }
        if broken.count > 0 {
            let rooms = count_of(broken.count, "room was broken before and stays", "rooms were broken before and stay");
            print::line(format!("{rooms} as before: {}; `reapply verify ROOM` says more", named(broken)))?;
        }
        if report.dry_run {
            return print::line(format!("nothing fails; {same} would be the same, {differ} would differ"));
        }
        print::line(format!("upgraded {} to {}", count(*upgraded, "room"), short(&report.to)))?;
        if kept.count > 0 {
            let rooms = count_of(kept.count, "room stays as it is", "rooms stay as they are");
            bail!("{rooms}: {}", named(kept));
        }
        Ok(())
    }
}

fn named(rooms: &Named) -> String {
    let unnamed = rooms.count.saturating_sub(rooms.rooms.len() as u64);
    let names = rooms.rooms.join(", ");
    if unnamed == 0 { names } else { format!("{names} and {unnamed} more") }
}

fn short(digest: &str) -> &str {
    digest.get(..DIGITS_SHOWN).unwrap_or(digest)
}
