//! `reapply backup`: copies everything a host stores, while it serves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use reapply_journal::directory::{create_private, private};
use reapply_journal::sqlite::DATABASE_FILE;

use super::print;
use super::remote::Remote;
use reapply_host::http::backup::HASH_HEADER;

/// Arguments of `reapply backup`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder to write. It must be new or empty. A host can serve the result directly.
    dir: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let Args { dir, remote } = args;
    check_empty(dir)?;
    let answer = remote.accepted(remote.send(remote.request("GET", "/backup").body(())?, None)?)?;
    let announced = answer.headers().get(HASH_HEADER).and_then(|hash| hash.to_str().ok()).map(str::to_owned);
    let announced = announced.context("the answer has no backup hash; check that this is a Reapply host")?;
    create_private(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let file = dir.join(DATABASE_FILE);
    let part = file.with_added_extension("part");
    let written = write(answer.into_body().into_reader(), &part).and_then(|(hash, bytes)| {
        ensure!(hash == announced, "the backup was damaged on its way (its BLAKE3 hash differs); try again");
        Ok(bytes)
    });
    let bytes = written.inspect_err(|_| drop(fs::remove_file(&part)))?;
    put_in_place(&part, &file).with_context(|| format!("cannot write {}", file.display()))?;
    print::line(format!(
        "backed up to {} ({bytes} bytes); prove and restore it: reapply restore {0} --data DIR",
        dir.display()
    ))
}

/// The folder that `mkfs` leaves in the root of a fresh volume. A folder with nothing else in it counts as empty.
const LOST_AND_FOUND: &str = "lost+found";

/// Checks that a folder may be written to: it does not exist, or is empty.
///
/// # Errors
///
/// The folder holds something, or cannot be read.
pub(super) fn check_empty(dir: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("{} cannot be used", dir.display()))?,
    };
    let mut names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let is_empty = names.all(|name| name.is_ok_and(|name| name == LOST_AND_FOUND));
    ensure!(is_empty, "{} is not empty, and nothing is overwritten: name a new folder", dir.display());
    Ok(())
}

/// Creates a file that only its owner can read, or empties the existing one.
///
/// # Errors
///
/// The system refuses.
pub(super) fn create_file(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().write(true).create(true).truncate(true)).open(path)
}

/// Renames a file to its final name, durably.
///
/// # Errors
///
/// The system refuses.
pub(super) fn put_in_place(part: &Path, file: &Path) -> io::Result<()> {
    fs::rename(part, file)?;
    File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Copies a file durably. Returns its hash and its length.
fn write(mut from: impl Read, to: &Path) -> anyhow::Result<(String, u64)> {
    let cannot_write = || format!("cannot write {}", to.display());
    let mut file = create_file(to).with_context(cannot_write)?;
    let mut hasher = blake3::Hasher::new();
    let (mut buffer, mut bytes) = (vec![0; 1024 * 1024], 0);
    loop {
        let count = from.read(&mut buffer).context("the backup is incomplete")?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count]).with_context(cannot_write)?;
        bytes += count as u64;
    }
    file.sync_all().with_context(cannot_write)?;
    Ok((hasher.finalize().to_string(), bytes))
}
