//! Crates that make no component, and the errors that their authors read.

use std::fs;
use std::path::Path;

use reapply_component::{BuildError, build};

/// Returns a folder with a crate of this name, the rest of its manifest, and this source. Each test needs its own name, since the crates may
/// share a target directory.
fn crate_with(name: &str, manifest: &str, source: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let head = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n");
    fs::write(dir.path().join("Cargo.toml"), format!("{head}{manifest}")).unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("src/lib.rs"), source).unwrap();
    dir
}

fn refusal(dir: &Path) -> BuildError {
    build(dir).expect_err("nothing is built")
}

const CDYLIB: &str = "[lib]\ncrate-type = [\"cdylib\"]\n";

#[test]
fn a_directory_that_is_no_crate_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let message = refusal(dir.path()).to_string();
    assert!(message.contains("has no Cargo.toml"), "{message}");
    fs::write(dir.path().join("Cargo.toml"), "[workspace]\n").unwrap();
    assert!(matches!(refusal(dir.path()), BuildError::NoPackage(_)));
    fs::write(dir.path().join("Cargo.toml"), "nonsense").unwrap();
    assert!(matches!(refusal(dir.path()), BuildError::BadManifest(_)));
}

#[test]
fn a_crate_that_makes_no_module_is_told_its_crate_type() {
    let dir = crate_with("scratch-no-lib", "", "");
    let message = refusal(dir.path()).to_string();
    assert!(message.contains("crate-type = [\"cdylib\", \"rlib\"]"), "{message}");
}

#[test]
fn a_crate_that_does_not_compile_is_named() {
    let dir = crate_with("scratch-broken", CDYLIB, "fn broken( {");
    assert!(matches!(refusal(dir.path()), BuildError::CompileFailed(name) if name == "scratch-broken"));
}

#[test]
fn a_crate_without_a_machine_is_told_of_export() {
    let dir = crate_with("scratch-no-machine", CDYLIB, "#[unsafe(no_mangle)] pub extern \"C\" fn other() {}");
    let message = refusal(dir.path()).to_string();
    assert!(message.contains("reapply_guest::export!(YourMachine);"), "{message}");
}

#[test]
fn a_crate_that_imports_is_told_what() {
    let source = "#[link(wasm_import_module = \"env\")] unsafe extern \"C\" { fn now() -> u64; }
        #[unsafe(no_mangle)] pub extern \"C\" fn other() -> u64 { unsafe { now() } }";
    let dir = crate_with("scratch-imports", CDYLIB, source);
    let message = refusal(dir.path()).to_string();
    assert!(message.contains("`env::now`"), "{message}");
}
