//! Files that commands write.

use std::path::Path;

use anyhow::ensure;

/// Checks that a file can be written, before the work whose result goes into it.
///
/// # Errors
///
/// The file's folder is missing, or the file is a folder.
pub(super) fn check(file: &Path) -> anyhow::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(folder.is_dir(), "--out: there is no folder {}", folder.display());
    ensure!(!file.is_dir(), "--out: {} is a folder; name a file", file.display());
    Ok(())
}
