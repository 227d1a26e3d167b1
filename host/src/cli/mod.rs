//! The commands of `reapply`, one file each.

pub mod build;
pub mod check;
pub mod deploy;
pub mod remote;
pub mod serve;
pub mod upgrade;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps one piece of state the same for everyone who is looking at it, in real time.
#[derive(Debug, Parser)]
#[command(name = "reapply", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a component from a machine's crate.
    Build(build::Args),
    /// Play random histories on a machine, and say which rule it breaks.
    Check(check::Args),
    /// Send a component, or a crate's, to a running host.
    Deploy(deploy::Args),
    /// Run a host.
    Serve(serve::Args),
    /// Have rooms run another build, after a look at what that would do to them.
    Upgrade(upgrade::Args),
}

/// Runs the command that the arguments name. Whatever fails is one line on standard error, and exit code 1.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Build(args) => build::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Deploy(args) => deploy::main(&args),
        Command::Serve(args) => serve::main(args),
        Command::Upgrade(args) => upgrade::main(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reapply: {error:#}");
            ExitCode::FAILURE
        }
    }
}
