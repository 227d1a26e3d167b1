//! `reapply import`: makes a room from an export.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::{Context, bail};
use reapply_sync::RoomId;
use serde_json::Value;

use super::print;
use super::remote::Remote;
use super::source::parse_room;
use reapply_host::archive::{Part, Parts};

/// Arguments of `reapply import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File that `reapply export` wrote.
    file: PathBuf,
    /// Room to make, as machine/room. By default, the exported one. Under another name it is a fork of that room.
    #[arg(long = "as", value_name = "ROOM", value_parser = parse_room)]
    room: Option<RoomId>,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let Args { file, room, remote } = args;
    let exported = check(file)?;
    let room = room.as_ref().unwrap_or(&exported);
    let upload = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    // With this header a host can refuse before the file is sent.
    let request = remote.request("POST", &format!("/rooms/{room}/import")).header("expect", "100-continue");
    let mut answer = remote.accepted(remote.send(request.body(upload)?, None)?)?;
    let answer = answer.body_mut().read_to_string().context("the host's answer is incomplete")?;
    let answer: Value = serde_json::from_str(&answer).context("the host's answer is not JSON")?;
    let text = |field: &str| answer[field].as_str().unwrap_or("?").to_owned();
    print::line(format!("imported {room}: {} events, chain {}", answer["seq"], text("chain")))?;
    if room != &exported {
        let log = text("log");
        print::line(format!("it continues from where {exported} was exported, as a log of its own ({log})"))?;
    }
    if answer["deployed"].is_string() {
        let (machine, deployed) = (&room.machine, text("deployed"));
        print::line(format!("the machine {machine} was missing; its new rooms now run {deployed}"))?;
    }
    Ok(())
}

/// Reads the whole file before it is sent, so that a damaged one is found here. Returns the room that was exported.
fn check(file: &PathBuf) -> anyhow::Result<RoomId> {
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let named = || file.display().to_string();
    let mut room = None;
    for part in Parts::new(BufReader::new(opened)).with_context(named)? {
        if let Part::Header(header) = part.with_context(named)? {
            room = Some(header.room);
        }
    }
    match room {
        Some(room) => Ok(room),
        None => bail!("{} does not name a room", file.display()),
    }
}
