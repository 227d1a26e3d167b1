//! `reapply fork`: makes a new room that shares the past of another one.

use std::time::Duration;

use reapply_sync::RoomId;
use serde_json::json;

use super::print;
use super::remote::Remote;
use super::source::{At, parse_room};
use reapply_host::clock::rfc3339;

/// The longest time a host may take to copy a log.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// Arguments of `reapply fork`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Room whose past is shared, as machine/room.
    #[arg(value_parser = parse_room)]
    room: RoomId,
    /// New room, as machine/room.
    #[arg(value_name = "NEW", value_parser = parse_room)]
    new: RoomId,
    /// Last event that both rooms share, by its number or by a time. By default, the newest one.
    #[arg(long, value_name = "SEQ|TIME", value_parser = At::parse)]
    at: Option<At>,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let Args { room, new, at, remote } = args;
    let mut asked = json!({ "to": new.to_string() });
    match at {
        Some(At::Seq(seq)) => asked["seq"] = json!(seq),
        Some(At::Time(time)) => asked["time"] = json!(rfc3339(*time)),
        None => {}
    }
    let request = remote.request("POST", &format!("/rooms/{room}/fork")).header("content-type", "application/json");
    let answer = remote.ask(request.body(asked.to_string())?, ANSWER_WITHIN)?;
    let time = answer["time"].as_str().unwrap_or("?");
    print::line(format!("forked {new} from {room} at event {}, of {time}", answer["at"]))
}
