//! `reapply replay`: shows past states of a room or an export.

use std::io::Read;

use anyhow::{Context, bail};
use reapply_machine::Engine;
use reapply_sync::{Event, Input, Seq};
use serde_json::Value;
use similar::TextDiff;

use super::print;
use super::remote::Remote;
use super::source::{self, At};
use reapply_host::archive::{Finding, Playback};
use reapply_host::clock::rfc3339;
use reapply_host::foreign;

/// The number of lines of a view that are shown around a change.
const CONTEXT_LINES: usize = 3;

/// Arguments of `reapply replay`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File that `reapply export` wrote, or room, as machine/room.
    #[arg(value_name = "ROOM|FILE")]
    subject: String,
    /// End after this event, or at this time. By default, after the newest event.
    #[arg(long, value_name = "SEQ|TIME", value_parser = At::parse)]
    at: Option<At>,
    /// Show each event and its changes to the view.
    #[arg(long)]
    step: bool,
    /// First event to show.
    #[arg(long, value_name = "SEQ", requires = "step", default_value_t = 1)]
    from: u64,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let Args { subject, remote, .. } = args;
    if let Some(At::Seq(at)) = args.at
        && args.step
        && Seq(args.from) > at
    {
        bail!("there is no event from {} to {at}: give a --from that is not after --at", args.from);
    }
    let engine = Engine::for_replays()?;
    let export = source::open(subject, remote)?;
    let playback = Playback::open(export, &engine).with_context(|| subject.clone())?;
    play(args, playback).with_context(|| subject.clone())
}

fn play<R: Read>(args: &Args, mut playback: Playback<R>) -> anyhow::Result<()> {
    let (start, start_time) = playback.place();
    let head = playback.header().head;
    match args.at {
        Some(At::Seq(at)) if at > head => bail!("its log ends at {head}; there is no state at {at}"),
        Some(At::Seq(at)) if at < start => bail!("its log begins at {start}; earlier events are no longer kept"),
        Some(At::Time(at)) if at < start_time => {
            bail!("it begins at {}; before that there is no state", rfc3339(start_time))
        }
        _ => {}
    }
    let is_within = |event: &Event| match args.at {
        Some(At::Seq(at)) => event.seq <= at,
        Some(At::Time(at)) => event.time <= at,
        None => true,
    };
    let from = Seq(args.from);
    if args.step && from > head {
        bail!("its log ends at {head}; there is no event {from} to begin with");
    }
    let mut before = None;
    while let Some(event) = playback.peek()?.filter(|event| is_within(event)) {
        if args.step && event.seq >= from {
            before = Some(show_event(&mut playback, before)?);
        } else {
            playback.step()?;
        }
    }
    match before {
        Some(_) => Ok(()),
        None if args.step => bail!("there is no event from {from} to the end that --at gives"),
        None => show_state(&mut playback),
    }
}

fn show_state<R: Read>(playback: &mut Playback<R>) -> anyhow::Result<()> {
    let (seq, time) = playback.place();
    let view: Value = serde_json::from_str(&playback.view()?).context("the machine's view is not JSON")?;
    let digest = playback.digest().to_string();
    print::json(&serde_json::json!({ "seq": seq, "time": rfc3339(time), "digest": digest, "view": view }))
}

/// Shows the next event and what it changes. Returns the view after it, which is the view before the following event.
fn show_event<R: Read>(playback: &mut Playback<R>, before: Option<String>) -> anyhow::Result<String> {
    let before = before.map_or_else(|| pretty_view(playback), Ok)?;
    let Some(event) = playback.peek()?.cloned() else { return Ok(before) };
    // A transition is in the encoding of the build that was current when the transition arrived.
    let what = describe(playback, &event.input)?;
    playback.step()?;
    let after = pretty_view(playback)?;
    print::line(format!("event {} at {}: {what}", event.seq, rfc3339(event.time)))?;
    if before == after {
        print::text("  the view stays the same\n\n")?;
    } else {
        let diff = TextDiff::from_lines(&before, &after);
        print::text(&format!("{}\n", diff.unified_diff().context_radius(CONTEXT_LINES)))?;
    }
    Ok(after)
}

fn pretty_view<R: Read>(playback: &mut Playback<R>) -> anyhow::Result<String> {
    let view: Value = serde_json::from_str(&playback.view()?).context("the machine's view is not JSON")?;
    let json = serde_json::to_string_pretty(&view)?;
    Ok(format!("{}\n", foreign::json(&json)))
}

fn describe<R: Read>(playback: &mut Playback<R>, input: &Input) -> Result<String, Finding> {
    Ok(match input {
        Input::Transition { author, client, number, transition } => {
            format!("{}, by {author} (number {number} of client {client})", shown(playback, transition)?)
        }
        Input::Alarm(transition) => format!("the alarm, {}", shown(playback, transition)?),
        Input::Joined(author) => format!("{author} joined"),
        Input::Left(author) => format!("{author} left"),
        Input::Upgraded(digest) => format!("upgraded to {digest}"),
        Input::Checkpoint { seq, hash } => format!("checkpoint: the snapshot at {seq} has the hash {hash}"),
        Input::Forked { room, .. } => format!("from here on this is the log of {room}"),
    })
}

/// Returns a transition as JSON, or else its bytes in hexadecimal.
fn shown<R: Read>(playback: &mut Playback<R>, transition: &[u8]) -> Result<String, Finding> {
    let json = playback.decode(transition)?.map(|json| foreign::json(&json).into_owned());
    Ok(json.unwrap_or_else(|| transition.iter().map(|byte| format!("{byte:02x}")).collect()))
}
