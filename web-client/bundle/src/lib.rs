//! Puts the browser's client together: compiles `reapply-web` for the browser, makes its bindings, and lays the hand-written
//! TypeScript around them, without its types.
//!
//! The host's build script does this, so that `cargo build` makes a binary that contains its client. `cargo run -p reapply-web-bundle`
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

/// The types of that file.
pub const TYPES: &str = "reapply.d.ts";

/// The file that a page imports for a slider through a room's past, and its types.
pub const SCRUBBER: [&str; 2] = ["scrubber.js", "scrubber.d.ts"];

/// The folder of everything that [`ENTRY`] loads.
pub const PARTS: &str = "reapply";

const TARGET: &str = "wasm32-unknown-unknown";

/// The profile in which the client is compiled: for size, since every visitor downloads it before anything else happens.
const PROFILE: [&str; 5] = [
    "profile.release.opt-level='s'",
    "profile.release.lto='fat'",
    "profile.release.codegen-units=1",
    "profile.release.panic='abort'",
    "profile.release.debug=0",
];

/// Returns the folder of the workspace of this crate.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Returns the files and folders that the client is made from. When one of them changes, the client must be made again.
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

/// Makes the client in `out`: [`ENTRY`], [`TYPES`], [`SCRUBBER`], and the folder [`PARTS`]. The former content of `out` is removed. Cargo works in
/// `target`, which must not be the folder of a Cargo that waits for this one.
///
/// # Errors
///
/// The target is not installed, the client does not compile, its TypeScript has more than types that can be erased, or a file cannot be written.
pub fn bundle(out: &Path, target: &Path) -> Result<()> {
    let wasm = compile(target)?;
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("could not remove {}", out.display()))?;
    }
    translate(&workspace().join("web-client/js"), out)?;
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

/// Removes the settings of an outer Cargo (its flags, its wrapper when it is `clippy`), since they are for another target.
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

/// Turns all TypeScript in `source` into JavaScript, and makes the types of the two files that pages import.
///
/// # Errors
///
/// A module has more than types that can be erased, or a file cannot be read or written.
pub fn translate(source: &Path, out: &Path) -> Result<()> {
    erase_all(source, out)?;
    erase_all(&source.join(PARTS), &out.join(PARTS))?;
    let [scrubber, scrubber_types] = SCRUBBER;
    let beside = format!("./{ENTRY}");
    for (entry, types, others) in [(ENTRY, TYPES, &[][..]), (scrubber, scrubber_types, &[beside.as_str()][..])] {
        let declared = declarations::declarations(&source.join(entry).with_extension("ts"), others)?;
        fs::write(out.join(types), declared).with_context(|| format!("could not write {types}"))?;
    }
    Ok(())
}

/// Turns the files of a folder into JavaScript, without its subfolders.
fn erase_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("could not make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("could not read {}", from.display()))? {
        let path = entry?.path();
        if let (Some("ts"), Some(name)) = (path.extension().and_then(|extension| extension.to_str()), path.file_name())
        {
            let source = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
            let javascript = erase::erase(&source).with_context(|| format!("in {}", path.display()))?;
            let out = to.join(name).with_extension("js");
            fs::write(&out, javascript).with_context(|| format!("could not write {}", out.display()))?;
        }
    }
    Ok(())
}
