//! `reapply build`: from a machine's crate to its component.

use std::path::{Path, PathBuf};

use anyhow::Context;
use reapply_component::{Built, build, check_size};

use super::print;

/// Arguments of `reapply build`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of a machine's crate.
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let Built { path, bytes, digest, .. } = build(&args.dir)?;
    print::line(format!("built {} ({bytes} bytes, {digest})", path.display()))
}

/// Reads the component that a command is given: a file, or the folder of a crate, which is built first. Returns the file's path too.
pub(super) fn read_component(machine: &Path) -> anyhow::Result<(PathBuf, Vec<u8>)> {
    let file = if machine.is_dir() { build(machine)?.path } else { machine.to_owned() };
    let component = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    // A host would refuse it as well, but only after all of it was sent.
    check_size(&component).with_context(|| file.display().to_string())?;
    Ok((file, component))
}
