//! The programs under test: the binary, and the guests that it builds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::Value;

/// Returns the repository's root.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the `reapply` binary: the one that `REAPPLY_BIN` names, or else the one that cargo builds, once for each process.
///
/// # Panics
///
/// The binary does not compile.
#[must_use]
pub fn reapply() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os("REAPPLY_BIN") {
        Some(binary) => PathBuf::from(binary),
        None => build_binary(),
    });
    &BINARY
}

/// Returns the component of the guest in `guests/<name>` or `guests/fixtures/<name>`, as `reapply build` makes it, once for each process.
///
/// # Panics
///
/// The guest does not compile.
#[must_use]
pub fn component(program: &Path, guest: &str) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    built.entry(guest.to_owned()).or_insert_with(|| build_component(program, guest)).clone()
}

/// Returns one of many components with the same behaviour, each with a digest of its own, as if it had been built again: it has types that nothing
/// uses.
#[must_use]
pub fn other_build(component: &[u8], number: u16) -> Vec<u8> {
    const TYPE_SECTION: u8 = 7;
    const PRIMITIVE: u8 = 0x78;
    let types = [9, 6, 3, 0].map(|shift| PRIMITIVE + (number >> shift & 7) as u8);
    [component, &[TYPE_SECTION, 5, 4], &types].concat()
}

fn build_binary() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["build", "--workspace", "--bin=reapply", "--message-format=json-render-diagnostics"];
    let output = run(Command::new(cargo).args(arguments));
    output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "reapply")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .unwrap_or_else(|| panic!("cargo built no executable `reapply`: {output}"))
}

fn build_component(program: &Path, guest: &str) -> PathBuf {
    let guests = repository().join("guests");
    let candidates = [guests.join(guest), guests.join("fixtures").join(guest)];
    let dir = candidates.iter().find(|dir| dir.join("Cargo.toml").is_file());
    let dir = dir.unwrap_or_else(|| panic!("there is no guest named {guest}"));
    let printed = run(Command::new(program).arg("build").arg(dir));
    let path = printed.split_whitespace().find(|word| word.ends_with(".wasm")).map(PathBuf::from);
    path.filter(|path| path.is_file()).unwrap_or_else(|| panic!("`reapply build` named no component: {printed}"))
}

/// Returns a program's output, if it succeeds; its errors appear with this test's own.
fn run(command: &mut Command) -> String {
    let command = command.current_dir(repository()).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?} ended with {}: {printed}", output.status);
    printed
}
