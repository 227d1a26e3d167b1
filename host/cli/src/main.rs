//! The command line: see `reapply help`. Each command has a file.

// `print` prints everything: the macros panic where it cannot be printed.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod backup;
mod build;
mod check;
mod count;
mod deploy;
mod differences;
mod export;
mod fork;
mod host_url;
mod import;
mod log;
mod nearby;
mod out;
mod print;
mod remote;
mod replay;
mod reports;
mod restore;
mod retain;
mod scrub;
mod serve;
mod source;
mod upgrade;
mod verify;

use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

use print::ReaderGone;

/// Keeps one piece of state the same for everyone who is looking at it, in real time.
#[derive(Debug, Parser)]
#[command(name = "reapply", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy everything a host stores, while it serves.
    Backup(backup::Args),
    /// Build a machine's crate into a component.
    Build(build::Args),
    /// Play random histories on a machine, and report a rule that it breaks.
    Check(check::Args),
    /// Deploy a component, or a crate, to a running host.
    Deploy(deploy::Args),
    /// Write a room to a file: its log, with everything needed to prove and replay it.
    Export(export::Args),
    /// Make a new room that shares the past of another one.
    Fork(fork::Args),
    /// Make a room from a file that `reapply export` wrote.
    Import(import::Args),
    /// Show past states of a room or of an export.
    Replay(replay::Args),
    /// Make a data directory from a backup, and prove that it is whole.
    Restore(restore::Args),
    /// Print a room's log.
    Log(log::Args),
    /// Show or set how much of its rooms' past a machine keeps.
    Retain(retain::Args),
    /// Prove everything a host stores, while it serves.
    Scrub(scrub::Args),
    /// Run a host.
    Serve(serve::Args),
    /// Switch rooms to another build, after a trial of what would change.
    Upgrade(upgrade::Args),
    /// Prove a room or an export: its log, its states and its snapshots.
    Verify(verify::Args),
}

/// Parses the arguments. An empty environment variable counts as one that is not set.
fn parse() -> Cli {
    let is_empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let without_empty = |arg: Arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg };
    let command = Cli::command().mut_subcommands(|command| command.mut_args(without_empty));
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

/// Runs the command that the arguments name. A failure is one line on standard error, and exit code 1.
fn main() -> ExitCode {
    let command = parse().command;
    if !matches!(command, Command::Serve(_)) {
        // A reader that stops early, such as `head`, is not an error, as with any other command.
        sigpipe::reset();
    }
    let done = match command {
        Command::Backup(args) => backup::main(&args),
        Command::Build(args) => build::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Deploy(args) => deploy::main(&args),
        Command::Export(args) => export::main(&args),
        Command::Fork(args) => fork::main(&args),
        Command::Import(args) => import::main(&args),
        Command::Replay(args) => replay::main(&args),
        Command::Restore(args) => restore::main(&args),
        Command::Log(args) => log::main(&args),
        Command::Retain(args) => retain::main(&args),
        Command::Scrub(args) => scrub::main(&args),
        Command::Serve(args) => serve::main(args),
        Command::Upgrade(args) => upgrade::main(&args),
        Command::Verify(args) => verify::main(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ReaderGone>() => ExitCode::SUCCESS,
        Err(error) => {
            print::note(format!("reapply: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
