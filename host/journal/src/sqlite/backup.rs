//! A copy of the whole database, made while it is in use.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{self, Path, PathBuf};

use rusqlite::Connection;

use super::row::journal_error;
use super::{mark, schema, space};
use crate::JournalError;
use crate::crash;
use crate::directory::private;

/// The number of bytes that a backup leaves free on the disk: the growth of the write-ahead log meanwhile, and some more.
const BACKUP_LEAVES_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Copies the database `file`, as it is at this moment, into the new file `to`. The log grows meanwhile, since pages that are being
/// read cannot be overwritten in it.
pub(super) fn backup(file: &Path, to: &Path) -> Result<(), JournalError> {
    let storage = |error: std::io::Error| JournalError::Storage(format!("{}: {error}", to.display()));
    look_for_room(file, to)?;
    // A file from a crash is not a backup, but it may belong to somebody else: only a new file is written.
    private(OpenOptions::new().write(true).create_new(true)).open(to).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => JournalError::BackupExists(to.to_owned()),
        _ => storage(error),
    })?;
    crash::point("backup-half-made");
    let copied = copy(file, to).and_then(|()| sync(to).map_err(storage));
    if copied.is_err() {
        // SQLite may have put a file of its own beside it.
        let _ = fs::remove_file(to);
        let _ = fs::remove_file(with_suffix(to, "-journal"));
    }
    copied
}

/// Refuses a copy that would use the last of a disk that others, and perhaps the journal itself, write to.
fn look_for_room(file: &Path, to: &Path) -> Result<(), JournalError> {
    let log = with_suffix(file, "-wal");
    let bytes: u64 = [file, &log].iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum();
    let folder = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // If the system does not report the free space, the copy itself will show it.
    let Some(free) = space::free(folder) else { return Ok(()) };
    let needed = bytes + BACKUP_LEAVES_BYTES_MIN;
    if free >= needed {
        return Ok(());
    }
    Err(JournalError::Storage(format!(
        "the backup may take {bytes} bytes in {}, where {free} are free, and {BACKUP_LEAVES_BYTES_MIN} must stay: free some, or serve \
         with --scratch DIR on another disk",
        folder.display()
    )))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn copy(file: &Path, to: &Path) -> Result<(), JournalError> {
    let storage = |error: &dyn ToString| JournalError::Storage(format!("{}: {}", to.display(), error.to_string()));
    // An absolute path cannot be mistaken for an option or URI.
    let to = path::absolute(to).map_err(|error| storage(&error))?;
    let to = to.to_str().ok_or_else(|| storage(&"the path is not UTF-8"))?;
    let connection = schema::open_reader(file).map_err(|error| storage(&error))?;
    connection.execute("VACUUM INTO ?1", [to]).map_err(|error| journal_error(&connection, &error))?;
    // It is whole, and does not need a log.
    let copy = Connection::open(to).map_err(|error| storage(&error))?;
    let closed =
        copy.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(())).and_then(|()| mark::close(&copy));
    closed.map_err(|error| journal_error(&copy, &error))
}

/// Makes the file and its name durable.
fn sync(to: &Path) -> std::io::Result<()> {
    File::open(to)?.sync_all()?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
