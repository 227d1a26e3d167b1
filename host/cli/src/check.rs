//! `reapply check`: plays random histories on a component, in the engine and under the limits that rooms use.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use reapply_check::{Check, Failure, HISTORIES, LENGTH, Limits, SEED, Script, TIME_MAX};
use reapply_machine::limits::{FUEL_PER_EVENT, MEMORY_BYTES_MAX};
use reapply_machine::{Engine, Instance};
use serde::Deserialize;

use super::{build, out, print};

/// Arguments of `reapply check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Component file, or folder of a machine's crate, which is built first.
    #[arg(default_value = ".", value_name = "DIR|FILE")]
    machine: PathBuf,
    /// Number of histories to play.
    #[arg(long, default_value_t = HISTORIES, value_parser = clap::value_parser!(u64).range(1..))]
    histories: u64,
    /// Number of steps in the longest history.
    #[arg(long, default_value_t = LENGTH, value_parser = clap::value_parser!(u32).range(1..))]
    length: u32,
    /// Seed of the random histories. The same seed gives the same histories.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Number of seconds after which no new history begins.
    #[arg(long, default_value_t = TIME_MAX.as_secs())]
    seconds: u64,
    /// Two kinds of transitions that must lead to the same state in either order, such as `Add,Take`. May be repeated.
    #[arg(long, value_name = "KIND,KIND", value_parser = parse_pair)]
    commutes: Vec<[String; 2]>,
    /// Earlier build: play histories on it, then continue on this one. Component file, or folder of its crate.
    #[arg(long, value_name = "DIR|FILE", conflicts_with = "grow")]
    from: Option<PathBuf>,
    /// Grow a room with each kind of transition, up to this many events, and print the largest fuel use before and after a restore.
    #[arg(long, value_name = "EVENTS", num_args = 0..=1, require_equals = true, default_missing_value = "10000")]
    grow: Option<u32>,
    /// Play a single history: the file of an earlier failure, or a script.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// File to write the history to that breaks a rule.
    #[arg(long, value_name = "FILE", default_value = "reapply-check-failure.json")]
    out: PathBuf,
    /// Print the report, or the failure, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let script = args.replay.as_deref().map(read_script).transpose()?;
    out::check(&args.out)?;
    let check = set_up(args, &args.machine)?;
    // A machine that does not describe itself is reported by the check.
    if let Ok(Some((unknown, kinds))) = check.unknown_kind() {
        bail!("--commutes: no transition is of the kind {unknown}; the kinds are {}", kinds.join(", "));
    }
    let old = args.from.as_deref().map(|old| set_up(args, old)).transpose()?;
    match (script, &old) {
        (Some(script), None) => replayed(args, check.replay(&script)),
        (Some(script), Some(old)) => replayed(args, check.replay_from(old, &script)),
        (None, Some(old)) => report(args, check.run_from(old), ToString::to_string),
        (None, None) => match args.grow {
            Some(events) => {
                report(args, check.grow(events), |growths| growths.iter().map(|growth| format!("{growth}\n")).collect())
            }
            None => report(args, check.run(), ToString::to_string),
        },
    }
}

fn replayed(args: &Args, played: Result<(), Box<Failure>>) -> anyhow::Result<()> {
    if let Err(failure) = played {
        return fail(args, &failure, None);
    }
    if !args.json {
        print::line("the history breaks no rule")?;
    }
    Ok(())
}

/// Prints the findings of a check, as text or as JSON.
fn report<T: serde::Serialize>(
    args: &Args,
    found: Result<T, Box<Failure>>,
    text: impl Fn(&T) -> String,
) -> anyhow::Result<()> {
    match found {
        Ok(report) if args.json => print::json(&report),
        Ok(report) => print::text(&text(&report)),
        Err(failure) => fail(args, &failure, Some(&args.out)),
    }
}

fn set_up(args: &Args, machine: &Path) -> anyhow::Result<Check<Instance>> {
    let Args { histories, length, seed, seconds, .. } = args;
    let (file, component) = build::read_component(machine)?;
    let engine = Engine::new(None)?;
    let deployment = reapply_machine::check(&engine, &component).with_context(|| file.display().to_string())?;
    let limits = Limits { fuel_per_apply: FUEL_PER_EVENT, memory_bytes: MEMORY_BYTES_MAX as u64 };
    let check = Check::new(move || deployment.build.instantiate())
        .histories(*histories)
        .length(*length)
        .seed(*seed)
        .time_max(Duration::from_secs(*seconds))
        .limits(limits);
    Ok(args.commutes.iter().fold(check, |check, [kind, other]| check.commutes(kind, other)))
}

fn parse_pair(text: &str) -> Result<[String; 2], String> {
    match text.split_once(',') {
        Some((kind, other)) if !kind.is_empty() && !other.is_empty() => Ok([kind.to_owned(), other.to_owned()]),
        _ => Err("give two kinds, such as `Add,Take`; `reapply check` prints them".to_owned()),
    }
}

/// Reads a script from a file, or from the failure that the file holds.
fn read_script(file: &Path) -> anyhow::Result<Script> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let no_script = || format!("{} holds no history: give the file that a failed check wrote", file.display());
    let value: serde_json::Value = serde_json::from_str(&text).with_context(no_script)?;
    let script = value.get("script").unwrap_or(&value);
    Script::deserialize(script).with_context(no_script)
}

/// Returns the failure as an error, and writes its history to a file.
fn fail(args: &Args, failure: &Failure, out: Option<&Path>) -> anyhow::Result<()> {
    if args.json {
        print::json(failure)?;
    }
    let Some(out) = out else { bail!("{failure}") };
    let json = serde_json::to_string_pretty(failure)?;
    std::fs::write(out, json + "\n")
        .with_context(|| format!("{failure}\nit cannot be written to {}", out.display()))?;
    let from = args.from.as_ref().map(|old| format!("--from {} ", old.display())).unwrap_or_default();
    let commutes: String = args.commutes.iter().map(|[kind, other]| format!("--commutes {kind},{other} ")).collect();
    let again = format!("reapply check --replay {} {from}{commutes}{}", out.display(), args.machine.display());
    bail!("{failure}\nwritten to {}; play it again: {again}", out.display())
}
