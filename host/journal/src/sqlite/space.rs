//! Checks whether the disk has space for something large, before any of it is stored.
//!
//! Data that is committed in pieces takes up space even if the rest does not fit, and on a full disk other rooms' records need that
//! space. So the space is first reserved and released, by a file without a name that is never synced: most systems write none of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::schema::PAGE_BYTES;
use super::wal::CHECKPOINT_FRAMES;
use crate::JournalError;

/// The additional space for the write-ahead log, until it is moved.
const SPARE_BYTES: u64 = CHECKPOINT_FRAMES * PAGE_BYTES;

/// Refuses if `bytes` more do not fit beside the database `file`. `id` distinguishes this attempt from others at the same time.
pub(super) fn probe(file: &Path, id: i64, bytes: usize) -> Result<(), JournalError> {
    let path = file.with_extension(format!("room-{id}"));
    take(&path, bytes as u64 + SPARE_BYTES).map_err(|error| {
        JournalError::Storage(format!(
            "{}: there is no space for the {bytes} bytes of a snapshot: {error}",
            file.display()
        ))
    })
}

/// Returns the bytes that are free on the disk of `folder` for a process like this one, if the system reports them.
#[cfg(unix)]
pub(super) fn free(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Returns the bytes that are free on the disk of `folder`: unknown here.
#[cfg(not(unix))]
pub(super) fn free(_folder: &Path) -> Option<u64> {
    None
}

fn take(path: &Path, bytes: u64) -> io::Result<()> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    // After a crash nothing remains of a file without a name.
    fs::remove_file(path)?;
    let mut left = bytes;
    while left > 0 {
        let count = left.min(ZEROS.len() as u64);
        file.write_all(&ZEROS[..count as usize])?;
        left -= count;
    }
    Ok(())
}
