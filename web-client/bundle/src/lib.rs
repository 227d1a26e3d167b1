//! Puts the browser's client together: compiles `reapply-web` for the browser, makes its bindings, and lays the hand-written
//! JavaScript around them.
//!
//! The host's build script does this, so that `cargo build` gives a binary that holds its client; `cargo run -p reapply-web-bundle`
//! does it for the npm package.

pub mod declarations;
pub mod erase;
pub mod modules;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use wasm_bindgen_cli_support::Bindgen;

/// The file that a page imports.
pub const ENTRY: &str = "reapply.js";

/// Its types.
pub const TYPES: &str = "reapply.d.ts";

/// The file that a page imports for a slider through a room's past, and its types.
pub const SCRUBBER: [&str; 2] = ["scrubber.js", "scrubber.d.ts"];

/// The folder of everything that [`ENTRY`] loads.
pub const PARTS: &str = "reapply";

const TARGET: &str = "wasm32-unknown-unknown";

/// How the client is compiled: for its size, since every visitor downloads it before anything else happens.
const PROFILE: [&str; 5] = [
    "profile.release.opt-level='s'",
    "profile.release.lto='fat'",
    "profile.release.codegen-units=1",
    "profile.release.panic='abort'",
    "profile.release.debug=0",
];

/// The workspace that this crate stands in.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// What the client is made from: files and folders. When one of them changes, it must be made anew.
#[must_use]
pub fn sources() -> Vec<PathBuf> {
    let sources = [
        "Cargo.toml",
        "Cargo.lock",
        "sync/Cargo.toml",
        "sync/src",
        "client/Cargo.toml",
        "client/src",
        "web-client/Cargo.toml",
        "web-client/src",
        "web-client/js",
    ];
    sources.iter().map(|source| workspace().join(source)).collect()
}

/// Makes the client in `out`: [`ENTRY`], [`TYPES`], and the folder [`PARTS`]. What was there before is removed. Cargo works in `target`, which
/// must not be the folder of a Cargo that waits for this one.
///
/// # Errors
///
/// The target is not installed, the client does not compile, or a file cannot be written.
pub fn bundle(out: &Path, target: &Path) -> Result<()> {
    let wasm = compile(target)?;
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("could not remove {}", out.display()))?;
    }
    let source = workspace().join("web-client/js");
    copy(&source, out)?;
    copy(&source.join(PARTS), &out.join(PARTS))?;
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(wasm)
        .out_name("reapply_wasm")
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true);
    bindgen.web(true)?.generate(out.join(PARTS)).context("could not make the bindings of reapply-web")
}

fn compile(target: &Path) -> Result<PathBuf> {
    let workspace = workspace();
    ensure_target_is_installed(&workspace)?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = clean(Command::new(cargo));
    command.current_dir(&workspace);
    command
        .args(["build", "--release", "--package", "reapply-web", "--lib", "--target", TARGET, "--target-dir"])
        .arg(target);
    command.args(PROFILE.iter().flat_map(|setting| ["--config", setting]));
    if workspace.join("Cargo.lock").exists() {
        command.arg("--locked");
    }
    let status = command.status().context("could not run cargo")?;
    ensure!(
        status.success(),
        "reapply-web, the browser's side, did not compile for {TARGET}: cargo's output above says why"
    );
    Ok(target.join(TARGET).join("release/reapply_web.wasm"))
}

fn ensure_target_is_installed(workspace: &Path) -> Result<()> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = clean(Command::new(rustc));
    let output = command.current_dir(workspace).args(["--print", "target-libdir", "--target", TARGET]).output();
    let libdir = String::from_utf8(output.context("could not run rustc")?.stdout)?;
    if !Path::new(libdir.trim()).is_dir() {
        bail!(
            "the target {TARGET}, which the browser's side is compiled for, is not installed: run `rustup target add {TARGET}`"
        );
    }
    Ok(())
}

/// The settings of an outer Cargo (its flags, its wrapper when it is `clippy`) are for another target and must not leak in.
fn clean(mut command: Command) -> Command {
    const KEPT: [&str; 6] =
        ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTRIES_", "CARGO_MAKEFLAGS", "CARGO_TERM_"];
    const DROPPED: [&str; 6] = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "CLIPPY_ARGS",
        "TARGET",
        "__CARGO_DEFAULT_LIB_METADATA",
    ];
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let is_outer = text.starts_with("CARGO") && !KEPT.iter().any(|kept| text.starts_with(kept));
        if is_outer || DROPPED.contains(&text) {
            command.env_remove(&name);
        }
    }
    command
}

/// The files of a folder, without its folders.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("could not make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("could not read {}", from.display()))? {
        let path = entry?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            fs::copy(&path, to.join(name)).with_context(|| format!("could not copy {}", path.display()))?;
        }
    }
    Ok(())
}
