//! The files of this repository.

use std::path::{Path, PathBuf};

/// Returns the folder of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap_or(root)
}

/// Returns the folders of all crates, as paths from the root: those with a `Cargo.toml`.
#[must_use]
pub fn crates() -> Vec<PathBuf> {
    let manifests = files(&root(), &|path| path.file_name().is_some_and(|name| name == "Cargo.toml"));
    manifests.iter().filter_map(|manifest| relative(manifest.parent()?)).filter(|dir| *dir != Path::new("")).collect()
}

/// Returns all files below `dir` that are `wanted`, in order. Folders that hold no source are left out.
#[must_use]
pub fn files(dir: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = dir.read_dir() else { return found };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules", "dist"].contains(&&*name) {
                found.extend(files(&path, wanted));
            }
        } else if wanted(&path) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns a path from the root, if the file is below it.
#[must_use]
pub fn relative(path: &Path) -> Option<PathBuf> {
    path.strip_prefix(root()).ok().map(Path::to_owned)
}
