//! `reapply scrub`: proves everything a host stores, while it serves.

use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::count::count;
use super::print;
use super::remote::Remote;

/// The longest time the host may take to report its progress.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The interval between two progress requests.
const ASK_INTERVAL: Duration = Duration::from_millis(250);

/// Arguments of `reapply scrub`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show only the progress of the host's own pass since its start. Do not begin a new pass, and do not wait.
    #[arg(long)]
    status: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let ask = |method| args.remote.ask(args.remote.request(method, "/scrub").body(())?, ANSWER_WITHIN);
    let mut report = ask(if args.status { "GET" } else { "POST" })?;
    let mut told = 0;
    while !args.status && !report["done"].as_bool().context("the host's answer lacks the field `done`")? {
        let rooms = number(&report, "rooms");
        if rooms >= told + told.max(1_000) {
            print::note(format!("{} so far", count(rooms, "room")));
            told = rooms;
        }
        thread::sleep(ASK_INTERVAL);
        report = ask("GET")?;
    }
    let damaged = report["damaged"].as_array().map(Vec::as_slice).unwrap_or_default();
    let elsewhere = report["elsewhere"].as_array().map(Vec::as_slice).unwrap_or_default();
    for room in damaged {
        let text = |field: &str| room[field].as_str().unwrap_or("?");
        print::line(format!("{}: {}", text("room"), text("why")))?;
    }
    elsewhere.iter().try_for_each(|what| print::line(what.as_str().unwrap_or("?")))?;
    let proved =
        format!("{} with {} bytes of events", count(number(&report, "rooms"), "room"), number(&report, "bytes"));
    let is_done = report["done"].as_bool() == Some(true);
    if !damaged.is_empty() || !elsewhere.is_empty() {
        let places = count((damaged.len() + elsewhere.len()) as u64, "place");
        bail!("damage in {places}: restore a backup, or the rooms from exports; {proved} were read");
    }
    let found = if is_done { "all of it is proved" } else { "proved so far, and nothing is damaged" };
    print::line(format!("{proved}: {found}"))
}

fn number(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_default()
}
