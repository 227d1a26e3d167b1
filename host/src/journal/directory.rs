//! The data directory: made where it is missing, and held by one host at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The file whose lock says that a host is using the directory. The operating system lets go of the lock when that host
/// ends, however it ends.
const LOCK_FILE: &str = "lock";

/// Why a data directory was not opened. Nothing in it has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another host has it open.
    #[error(
        "the data directory {} is in use by another host{}: stop that one, or choose another directory with --data",
        .directory.display(), .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The other host's process, if it could be read.
        pid: Option<u32>,
    },
    /// The path leads to something else.
    #[error("{} is not a directory: choose another with --data", .path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// This process cannot write there.
    #[error("the data directory {} is not writable ({error}): correct its permissions, or choose another with --data", .directory.display())]
    NotWritable {
        /// The directory.
        directory: PathBuf,
        /// What the operating system said.
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
        /// The format that it has.
        found: i64,
        /// The newest format that is known here.
        known: i64,
    },
    /// What is stored is not what was written.
    #[error("{} is damaged at {place}: {what}. Restore it from a backup; it has been left as it is", .file.display())]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// Where in it.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// The storage failed.
    #[error("{} cannot be opened: {error}", .file.display())]
    Storage {
        /// The file.
        file: PathBuf,
        /// What the storage said.
        error: String,
    },
}

/// A data directory that is this process's alone until it is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    lock: File,
}

impl DataDirectory {
    /// Makes the directory if it is missing, and takes its lock.
    ///
    /// # Errors
    ///
    /// It is in use, is not writable, or is no directory.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        make(path).map_err(|error| refusal(path, error))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK_FILE))
            .map_err(|error| refusal(path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { directory: path.to_owned(), pid: read_pid(&mut lock) });
            }
            Err(TryLockError::Error(error)) => return Err(refusal(path, error)),
        }
        write_pid(&mut lock).map_err(|error| refusal(path, error))?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the names of files that were created in it durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl Drop for DataDirectory {
    /// Closing the file would leave the lock to a child process that is just being started, and has not closed its own copy yet.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// Creates the directory, and makes its name durable in its parent.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn refusal(path: &Path, error: io::Error) -> OpenError {
    let is_something_else = path.exists() && !path.is_dir();
    if is_something_else || error.kind() == ErrorKind::NotADirectory {
        OpenError::NotADirectory { path: path.to_owned() }
    } else {
        OpenError::NotWritable { directory: path.to_owned(), error }
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
        let OpenError::InUse { pid, .. } = &error else { panic!("{error}") };
        assert_eq!(*pid, Some(std::process::id()));
        assert!(error.to_string().contains("in use by another host"), "{error}");
        drop(first);
        DataDirectory::open(&path).unwrap();
    }

    #[test]
    fn a_file_is_no_directory_nor_is_what_lies_beneath_it() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        for path in [file.clone(), file.join("data")] {
            let error = DataDirectory::open(&path).unwrap_err();
            assert!(matches!(error, OpenError::NotADirectory { .. }), "{error}");
        }
    }

    /// Even root cannot write to the kernel's own directories, so this needs no change of user.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_directory_that_cannot_be_written_is_refused() {
        for path in ["/proc/self", "/proc/reapply-data"] {
            let error = DataDirectory::open(Path::new(path)).unwrap_err();
            assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
