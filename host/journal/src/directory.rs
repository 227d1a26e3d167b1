//! The data directory: created if missing, and held by one host at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The file whose lock says that a host is using the directory. The operating system releases the lock when that host
/// ends, however it ends.
const LOCK_FILE: &str = "lock";

/// The reasons why a data directory was not opened. Nothing in it has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenJournalError {
    /// Another host has it open.
    #[error(
        "the data directory {} is in use by another host{}: stop that one, or choose another directory with --data",
        .directory.display(), .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The other host's process id, if it could be read.
        pid: Option<u32>,
    },
    /// The path is something else.
    #[error("{} is not a directory: choose another with --data", .path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// This process cannot write to the directory.
    #[error("the data directory {} is not writable ({error}): {}, or choose another with --data", .directory.display(), remedy(.error))]
    NotWritable {
        /// The directory.
        directory: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A later version of Reapply wrote it.
    #[error(
        "{} has the format {found}, and this version of Reapply knows up to {known}: start the version that wrote it, or a newer one",
        .file.display()
    )]
    NewerFormat {
        /// The database.
        file: PathBuf,
        /// The format of the database.
        found: i64,
        /// The newest known format.
        known: i64,
    },
    /// An earlier version of Reapply wrote the file, in a format that is no longer read.
    #[error(
        "{} has the format {found}, and this version of Reapply reads from {known} on: serve it with the version that wrote it, or begin with an empty directory",
        .file.display()
    )]
    OlderFormat {
        /// The file.
        file: PathBuf,
        /// The format of the file.
        found: i64,
        /// The first format that is still read.
        known: i64,
    },
    /// The stored data is damaged.
    #[error("{} is damaged at {place}: {what}. Restore it from a backup; it has been left as it is", .file.display())]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// The place of the damage.
        place: String,
        /// The description of the damage.
        what: String,
    },
    /// The database was open when its host ended, and its write-ahead log is gone.
    #[error(
        "{} was in use when its host ended, and its write-ahead log {} is missing or empty: it held the newest acknowledged events. \
         Put that file back beside the database, or restore a backup. To serve without those events, which are lost then: \
         reapply serve --accept-lost-log",
        .file.display(), .log.display()
    )]
    LogLost {
        /// The database.
        file: PathBuf,
        /// The log.
        log: PathBuf,
    },
    /// The storage failed.
    #[error("{} cannot be opened: {error}", .file.display())]
    Storage {
        /// The file.
        file: PathBuf,
        /// The storage's error.
        error: String,
    },
}

/// A data directory that belongs to this process until it is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    lock: File,
}

impl DataDirectory {
    /// Creates the directory if it is missing, and takes its lock.
    ///
    /// # Errors
    ///
    /// The directory is in use or not writable, or the path is not a directory.
    pub fn open(path: &Path) -> Result<Self, OpenJournalError> {
        make(path).map_err(|error| refusal(path, error))?;
        let mut lock = private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
            .open(path.join(LOCK_FILE))
            .map_err(|error| refusal(path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenJournalError::InUse { directory: path.to_owned(), pid: read_pid(&mut lock) });
            }
            Err(TryLockError::Error(error)) => return Err(refusal(path, error)),
        }
        write_pid(&mut lock).map_err(|error| refusal(path, error))?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// Returns the path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the file of this name if it is missing, so that only its owner can read it. SQLite's files beside it get the same rights.
    pub(super) fn keep_private(&self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        let file = private(OpenOptions::new().write(true).create(true).truncate(false)).open(path)?;
        restrict(&file)
    }

    /// Makes the names of new files in it durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Returns whether a host has the data directory at `path` open.
#[must_use]
pub fn is_in_use(path: &Path) -> bool {
    let lock = File::open(path.join(LOCK_FILE));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

impl Drop for DataDirectory {
    /// Releases the lock explicitly: merely closing the file would leave it to a child process that has not closed its own copy yet.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// Makes a new file accessible only to its owner: logs hold what people said, and keys are in there too.
#[must_use]
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Creates a directory, and those above it, for its owner alone.
///
/// # Errors
///
/// The system refuses.
pub fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Removes the rights of others from a file of an earlier version, or of a copy.
#[cfg(unix)]
fn restrict(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 == 0 { Ok(()) } else { file.set_permissions(fs::Permissions::from_mode(mode & 0o700)) }
}

#[cfg(not(unix))]
fn restrict(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Creates the directory, and makes its name durable in its parent.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    create_private(path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn refusal(path: &Path, error: io::Error) -> OpenJournalError {
    let is_something_else = path.exists() && !path.is_dir();
    if is_something_else || error.kind() == ErrorKind::NotADirectory {
        OpenJournalError::NotADirectory { path: path.to_owned() }
    } else {
        OpenJournalError::NotWritable { directory: path.to_owned(), error }
    }
}

/// Returns the way out of an error in the data directory.
#[must_use]
pub fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make space on its disk",
        ErrorKind::ReadOnlyFilesystem => "mount its file system for writing",
        _ => "correct its permissions",
    }
}

fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_holder_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/data");
        let first = DataDirectory::open(&path).unwrap();
        let error = DataDirectory::open(&path).unwrap_err();
        let OpenJournalError::InUse { pid, .. } = &error else { panic!("{error}") };
        assert_eq!(*pid, Some(std::process::id()));
        assert!(error.to_string().contains("in use by another host"), "{error}");
        assert!(is_in_use(&path));
        drop(first);
        assert!(!is_in_use(&path));
        DataDirectory::open(&path).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn what_is_made_is_its_owners_alone_and_what_others_could_read_becomes_so() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/data");
        let directory = DataDirectory::open(&path).unwrap();
        directory.keep_private("new").unwrap();
        fs::write(path.join("old"), "x").unwrap();
        fs::set_permissions(path.join("old"), fs::Permissions::from_mode(0o644)).unwrap();
        directory.keep_private("old").unwrap();
        let modes = ["", LOCK_FILE, "new", "old"].map(|name| mode(&path.join(name)));
        assert_eq!(modes, [0o700, 0o600, 0o600, 0o600]);
        assert_eq!(fs::read(path.join("old")).unwrap(), b"x");
    }

    #[test]
    fn a_file_is_no_directory_nor_is_what_lies_beneath_it() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        for path in [file.clone(), file.join("data")] {
            let error = DataDirectory::open(&path).unwrap_err();
            assert!(matches!(error, OpenJournalError::NotADirectory { .. }), "{error}");
        }
    }

    #[test]
    fn the_remedy_fits_the_error() {
        let told = |kind: ErrorKind| refusal(Path::new("/nowhere"), kind.into()).to_string();
        assert!(told(ErrorKind::PermissionDenied).contains("correct its permissions, or choose"));
        assert!(told(ErrorKind::ReadOnlyFilesystem).contains("mount its file system for writing, or"));
        for full in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            assert!(told(full).contains("make space on its disk, or") && !told(full).contains("permissions"));
        }
    }

    /// Even root cannot write to the kernel's own directories, so this does not need another user.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_directory_that_cannot_be_written_is_refused() {
        for path in ["/proc/self", "/proc/reapply-data"] {
            let error = DataDirectory::open(Path::new(path)).unwrap_err();
            assert!(matches!(error, OpenJournalError::NotWritable { .. }), "{error}");
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
