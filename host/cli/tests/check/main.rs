//! `reapply check`, the command: its findings in components, its files, and its output.

mod faults;
mod guests;
mod usage;

use std::path::Path;
use std::process::{Command, Output};

use reapply_check::Failure;

/// Runs `reapply check` on the component of a guest, with additional arguments.
fn check(guest: &str, arguments: &[&str]) -> Output {
    run(&[&[guest_components::component(guest).to_str().unwrap()], arguments].concat())
}

/// Runs `reapply check` with these arguments.
fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reapply"));
    command.arg("check").args(arguments).output().unwrap()
}

fn read(file: &Path) -> Failure {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
