//! `reapply deploy`: sends a component to a running host.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use reapply_sync::Name;
use serde_json::Value;
use ureq::http::request;

use super::build;
use super::count::count_of;
use super::print;
use super::remote::Remote;

/// The longest time a host may take to check and compile a component.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// Arguments of `reapply deploy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Component file, or folder of a machine's crate, which is built first.
    #[arg(default_value = ".")]
    machine: PathBuf,
    /// Name of the machine on the host. By default, the name that the machine gives itself.
    #[arg(long)]
    name: Option<Name>,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let remote = &args.remote;
    if args.machine.is_dir() {
        check_host(args)?;
    }
    let (file, component) = build::read_component(&args.machine)?;
    let answer = remote.send(request(args).body(&component[..])?, Some(ANSWER_WITHIN))?;
    let mut answer = remote.accepted(answer).with_context(|| file.display().to_string())?;
    let answer = answer.body_mut().read_to_string().context("the host's answer is incomplete")?;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    let text = |field: &str| answer[field].as_str().unwrap_or("?").to_owned();
    let name = text("name");
    print::line(format!("deployed {name} as {} ({} bytes)", text("digest"), component.len()))?;
    let rooms = answer["rooms_of_other_builds"].as_u64().unwrap_or(0);
    if rooms == 0 {
        return Ok(());
    }
    let rooms = count_of(rooms, "room still runs another build", "rooms still run other builds");
    print::line(format!("{rooms}; see what an upgrade would do: reapply upgrade {name} --dry-run"))
}

fn request(args: &Args) -> request::Builder {
    let request = match &args.name {
        Some(name) => args.remote.request("PUT", &format!("/machines/{name}")),
        None => args.remote.request("POST", "/machines"),
    };
    request.header("content-type", "application/wasm")
}

/// Sends an empty deployment, which every host refuses. So a missing right or an unreachable host shows before a crate is built.
fn check_host(args: &Args) -> anyhow::Result<()> {
    let answer = args.remote.send(request(args).body(())?, Some(ANSWER_WITHIN))?;
    match answer.status().as_u16() {
        401 | 403 => args.remote.accepted(answer).map(drop),
        _ => Ok(()),
    }
}
