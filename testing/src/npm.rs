//! Packages for people who write pages, which a few tests use: fetched by npm if it is installed, and kept beside cargo's output.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the folder of a package, as in `typescript@5.9.3`, inside `folder`, where it is fetched once. Returns `None` without npm; CI has
/// it.
///
/// # Panics
///
/// npm is installed, and cannot fetch the package.
#[must_use]
pub fn npm_package(folder: &str, package: &str) -> Option<PathBuf> {
    let npm = |arguments: &[&str]| Command::new("npm").args(arguments).stdin(Stdio::null()).output();
    if npm(&["--version"]).is_err() {
        eprintln!("npm is not on the PATH, so nothing is tested with {package}");
        return None;
    }
    let folder = Path::new(folder).join(package);
    let (name, _) = package.rsplit_once('@').expect("a package is named with its version");
    let installed = folder.join("node_modules").join(name);
    if !installed.join("package.json").is_file() {
        std::fs::create_dir_all(&folder).expect("a folder beside the tests can be made");
        let arguments = ["install", "--no-audit", "--no-fund", "--prefix", &folder.to_string_lossy(), package];
        let output = npm(&arguments).expect("npm can be run");
        assert!(output.status.success(), "{package} cannot be fetched: {}", String::from_utf8_lossy(&output.stderr));
    }
    Some(installed)
}
