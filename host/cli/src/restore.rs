//! `reapply restore`: makes a data directory from a backup, and proves that it is whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use reapply_journal::directory::create_private;
use reapply_journal::sqlite::{DATABASE_FILE, WAL_FILE};
use reapply_journal::{Journal, LostLog, Opened, Proving, SqliteJournal};

use super::backup::{check_empty, create_file, put_in_place};
use super::count::count;
use super::print;

/// The number of rooms that are counted at a time.
const ROOMS_READ: usize = 1_000;

/// Arguments of `reapply restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder that `reapply backup` wrote.
    dir: PathBuf,
    /// Data directory to make. It must be new or empty.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let Args { dir, data } = args;
    let backup = dir.join(DATABASE_FILE);
    check_backup(dir, &backup)?;
    let is_in_use = fs::metadata(dir.join(WAL_FILE)).is_ok_and(|log| log.len() > 0);
    ensure!(
        !is_in_use,
        "{0} is a data directory that a host has served since: back that up with `reapply backup`, or serve it: reapply serve --data {0}",
        dir.display()
    );
    check_empty(data)?;
    let was_there = data.is_dir();
    let restored = copy(&backup, data).and_then(|()| prove(data));
    if restored.is_err() {
        // Everything in that folder was written by this command.
        let _ = if was_there { remove_content(data) } else { fs::remove_dir_all(data) };
    }
    let (rooms, events) = restored.with_context(|| format!("{} is not restored", dir.display()))?;
    print::line(format!(
        "restored {0}: {1} with {2}, proved whole; serve it: reapply serve --data {0}",
        data.display(),
        count(rooms, "room"),
        count(events, "event"),
    ))
}

/// Checks that there is a backup in a folder.
fn check_backup(dir: &Path, backup: &Path) -> anyhow::Result<()> {
    let is_missing = match fs::metadata(backup) {
        Ok(found) => !found.is_file(),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => true,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", backup.display())),
    };
    ensure!(!is_missing, "{} is not a backup: there is no {DATABASE_FILE} in it", dir.display());
    Ok(())
}

fn copy(backup: &Path, data: &Path) -> anyhow::Result<()> {
    let file = data.join(DATABASE_FILE);
    let part = file.with_added_extension("part");
    // Copying the file's mode as well would make the copy of a read-only backup read-only.
    let copied = create_private(data).and_then(|()| {
        let mut copy = create_file(&part)?;
        io::copy(&mut File::open(backup)?, &mut copy)?;
        copy.sync_all()?;
        put_in_place(&part, &file)
    });
    copied.with_context(|| format!("cannot write {}", file.display()))
}

/// Opens the journal, which proves all of it, and counts.
fn prove(data: &Path) -> anyhow::Result<(u64, u64)> {
    let Opened { journal, warnings } = SqliteJournal::open_with(data, LostLog::Refused, Proving::First)?;
    for warning in warnings {
        print::note(format!("warning: {warning}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (mut rooms, mut events, mut after) = (0, 0, None);
    loop {
        let listed = runtime.block_on(journal.rooms(None, after.as_ref(), ROOMS_READ))?;
        let Some(last) = listed.last() else { return Ok((rooms, events)) };
        after = Some(last.room.clone());
        rooms += listed.len() as u64;
        events += listed.iter().map(|room| room.head.0 - room.start().0.0).sum::<u64>();
    }
}

fn remove_content(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
