//! Packages for people who write pages, which a few tests use: fetched by npm if it is installed, and kept beside cargo's output.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::repository;

/// The files that say which compiler of TypeScript is installed, and how.
const COMPILER_FILES: [&str; 3] = ["package-lock.json", "package.json", ".npmrc"];

/// Returns the folder of a package, as in `axe-core@4.14.1`, inside `folder`, where it is fetched once. Returns `None` without npm; CI has
/// it.
///
/// # Panics
///
/// npm is installed, and cannot fetch the package.
#[must_use]
pub fn npm_package(folder: &str, package: &str) -> Option<PathBuf> {
    let folder = Path::new(folder).join(package);
    let (name, _) = package.rsplit_once('@').expect("a package is named with its version");
    let installed = folder.join("node_modules").join(name);
    if !npm_is_there(package) {
        return None;
    }
    if !installed.join("package.json").is_file() {
        fs::create_dir_all(&folder).expect("a folder beside the tests can be made");
        npm(&["install", "--prefix", &folder.to_string_lossy(), package]);
    }
    Some(installed)
}

/// Returns the compiler of TypeScript, as a program for Node, in the version that `web-client/package-lock.json` names. Inside `folder` it is fetched
/// once. Returns `None` without npm; CI has it.
///
/// # Panics
///
/// npm is installed, and cannot fetch the compiler.
#[must_use]
pub fn typescript(folder: &str) -> Option<PathBuf> {
    if !npm_is_there("TypeScript") {
        return None;
    }
    let source = repository().join("web-client");
    let folder = Path::new(folder).join("typescript");
    let compiler = folder.join("node_modules/typescript/bin/tsc");
    let is_same = |name: &str| fs::read(source.join(name)).ok() == fs::read(folder.join(name)).ok();
    if !compiler.is_file() || !COMPILER_FILES.iter().all(|name| is_same(name)) {
        fs::create_dir_all(&folder).expect("a folder beside the tests can be made");
        for name in COMPILER_FILES {
            fs::copy(source.join(name), folder.join(name)).expect("the files of the npm package can be copied");
        }
        npm(&["ci", "--ignore-scripts", "--prefix", &folder.to_string_lossy()]);
    }
    Some(compiler)
}

fn npm_is_there(what: &str) -> bool {
    let is_there = Command::new("npm").arg("--version").stdin(Stdio::null()).output().is_ok();
    if !is_there {
        eprintln!("npm is not on the PATH, so nothing is tested with {what}");
    }
    is_there
}

/// Runs npm, which must succeed.
fn npm(arguments: &[&str]) {
    let mut command = Command::new("npm");
    let output = command.args(arguments).args(["--no-audit", "--no-fund"]).stdin(Stdio::null()).output();
    let output = output.expect("npm can be run");
    assert!(output.status.success(), "npm {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
}
