//! `reapply export`: a room in a file.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use reapply_sync::RoomId;

use super::count::count;
use super::print;
use super::remote::Remote;
use super::source::{parse_room, request_export};
use reapply_host::archive::{self, Counts, Part, Parts};

/// Arguments of `reapply export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Room to export, as machine/room.
    #[arg(value_parser = parse_room)]
    room: RoomId,
    /// File to write. By default, MACHINE-ROOM.reapply in the current folder.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let Args { room, out, remote } = args;
    let default = || PathBuf::from(format!("{}-{}.{}", room.machine, room.room, archive::format::SUFFIX));
    let out = out.clone().unwrap_or_else(default);
    super::out::check(&out)?;
    if out.exists() {
        bail!("{} exists already: name another file with --out", out.display());
    }
    let export = request_export(room, remote)?;
    let part = out.with_added_extension("part");
    let written = write(export, &part).and_then(|(counts, bytes)| {
        fs::rename(&part, &out).with_context(|| format!("cannot write {}", out.display()))?;
        Ok((counts, bytes))
    });
    let (counts, bytes) = written.inspect_err(|_| drop(fs::remove_file(&part)))?;
    let Counts { components, snapshots, events, .. } = counts;
    let held = [count(events, "event"), count(snapshots, "snapshot"), count(components, "build")].join(", ");
    print::line(format!("exported {room} to {}: {held} ({bytes} bytes)", out.display()))
}

/// Writes the export to a file, and reads it on the way, so that a truncated or damaged one is an error.
fn write(export: impl Read, to: &Path) -> anyhow::Result<(Counts, u64)> {
    let cannot_write = || format!("cannot write {}", to.display());
    let file = File::create(to).with_context(cannot_write)?;
    let mut copy = BufWriter::new(file);
    let mut end = None;
    for part in Parts::new(BufReader::new(Copying { from: export, to: &mut copy, path: to }))? {
        if let Part::End(counts, bytes) = part? {
            end = Some((counts, bytes));
        }
    }
    let file = copy.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(cannot_write)?;
    file.sync_all().with_context(cannot_write)?;
    end.context("the export is incomplete: its end is missing")
}

/// A reader that copies everything that is read into a file.
struct Copying<'a, R, W> {
    from: R,
    to: W,
    path: &'a Path,
}

impl<R: Read, W: Write> Read for Copying<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.to.write_all(&buffer[..count]).map_err(|error| {
            std::io::Error::new(error.kind(), format!("{} cannot be written: {error}", self.path.display()))
        })?;
        Ok(count)
    }
}
