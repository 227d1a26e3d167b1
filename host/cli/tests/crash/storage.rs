//! Storage that fails on request: `storage.c`, with which a host is started, and its control.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A kind of storage call of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Write,
    Sync,
    Truncate,
    Read,
}

/// The way in which such calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// With EIO.
    IoError = 1,
    /// With ENOSPC.
    NoSpace,
    /// They do half of the requested work, and report that.
    CutShort,
}

impl Call {
    const ALL: [Self; 4] = [Self::Write, Self::Sync, Self::Truncate, Self::Read];

    /// Returns the place in the control file that says how these calls fail.
    fn fault_at(self) -> u64 {
        4 * self as u64
    }

    /// Returns the place in the control file that counts the failed calls.
    fn injected_at(self) -> u64 {
        4 * (Self::ALL.len() as u64 + self as u64)
    }
}

/// The storage of the hosts whose data is in one directory.
#[derive(Debug)]
pub(crate) struct Storage {
    directory: TempDir,
    control: File,
    library: PathBuf,
}

impl Storage {
    /// Creates storage that works so far.
    ///
    /// # Panics
    ///
    /// There is no C compiler.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let library = directory.path().join("storage.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/storage.c");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .expect("a C compiler is there: cc");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let file = directory.path().join("control");
        fs::write(&file, [0; 4 * 2 * Call::ALL.len()]).unwrap();
        let control = OpenOptions::new().read(true).write(true).open(&file).unwrap();
        fs::create_dir(directory.path().join("data")).unwrap();
        Self { directory, control, library }
    }

    /// Returns the folder for hosts' data.
    pub(crate) fn data_parent(&self) -> PathBuf {
        self.directory.path().join("data").canonicalize().unwrap()
    }

    /// Returns the environment that gives a host this storage.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        vec![
            ("LD_PRELOAD".to_owned(), text(&self.library)),
            ("REAPPLY_STORAGE_OF".to_owned(), text(&self.data_parent())),
            ("REAPPLY_STORAGE_CONTROL".to_owned(), text(&self.directory.path().join("control"))),
            ("REAPPLY_STORAGE_UNSYNCED".to_owned(), text(&self.unsynced())),
        ]
    }

    /// Makes all calls of a kind fail from now on.
    pub(crate) fn fail(&self, call: Call, fault: Fault) {
        self.control.write_all_at(&(fault as u32).to_ne_bytes(), call.fault_at()).unwrap();
    }

    /// Makes all calls work again.
    pub(crate) fn heal(&self) {
        for call in Call::ALL {
            self.control.write_all_at(&[0; 4], call.fault_at()).unwrap();
        }
    }

    /// Returns the number of failed calls of a kind so far.
    pub(crate) fn injected(&self, call: Call) -> u32 {
        let mut count = [0; 4];
        self.control.read_exact_at(&mut count, call.injected_at()).unwrap();
        u32::from_ne_bytes(count)
    }

    /// Returns the file that records unsynced writes since the last start.
    pub(crate) fn unsynced(&self) -> PathBuf {
        self.directory.path().join("unsynced")
    }
}
