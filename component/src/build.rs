//! From a machine's crate to its component: the work of `reapply build`.
//!
//! cargo compiles the crate to a core module, `wit-component` wraps it as a component, and the component is made canonical, so that
//! its digest is the one that a host will report. Authors need no tool besides cargo.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reapply_sync::Digest;
use serde::Deserialize;
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use crate::check::{INTERFACE, canonical_component};
use crate::error::ComponentError;

/// The target that machines are compiled for. It imports nothing; those of WASI do.
const TARGET: &str = "wasm32-unknown-unknown";

/// The profile that machines are compiled with, whatever the crate's own profile says: small, since every browser downloads them.
const PROFILE: [&str; 5] = [
    "profile.release.opt-level=\"s\"",
    "profile.release.lto=\"fat\"",
    "profile.release.codegen-units=1",
    "profile.release.panic=\"abort\"",
    "profile.release.strip=true",
];

/// A component that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The crate's name.
    pub package: String,
    /// The path of the component that was written: `<target>/reapply/<package>.wasm`.
    pub path: PathBuf,
    /// The size of the component in bytes.
    pub bytes: usize,
    /// The component's digest, by which a host will know it.
    pub digest: Digest,
}

/// The reason why no component was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The directory is not a crate.
    #[error("{} has no Cargo.toml: run `reapply build` in a machine's crate, or name its directory", .0.display())]
    NoManifest(PathBuf),
    /// cargo or rustc cannot be run.
    #[error("`{tool}` cannot be run ({cause}): install Rust from https://rustup.rs")]
    NoTool {
        /// The program.
        tool: &'static str,
        /// The system's error.
        cause: io::Error,
    },
    /// cargo refused the manifest; it has said why.
    #[error("cargo cannot read {}", .0.display())]
    BadManifest(PathBuf),
    /// The manifest is that of a workspace, not of a package.
    #[error("{} is a workspace and no crate: name the directory of one of its machines", .0.display())]
    NoPackage(PathBuf),
    /// The compiler lacks the standard library for our target.
    #[error("Rust's library for {TARGET} is missing: run `rustup target add {TARGET}`")]
    TargetMissing,
    /// The crate does not compile to a module.
    #[error(
        "{} makes no module: it needs `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]` (`rlib` for its tests)",
        .0.display()
    )]
    NotCdylib(PathBuf),
    /// The crate does not compile; cargo has said why.
    #[error("{0} does not compile")]
    CompileFailed(String),
    /// The crate exports nothing that a host could call.
    #[error("{0} has no machine: add `reapply_guest::export!(YourMachine);` to its src/lib.rs")]
    NoExport(String),
    /// The crate's code imports something.
    #[error(
        "{package} imports `{import}`, and a machine imports nothing: some dependency wants a clock, random numbers or JavaScript"
    )]
    Imports {
        /// The crate's name.
        package: String,
        /// The first import, as `module::name`.
        import: String,
    },
    /// The module could not be made a component.
    #[error("{package} cannot be made a component: {cause}")]
    NotEncoded {
        /// The crate's name.
        package: String,
        /// The encoder's error.
        cause: String,
    },
    /// The component was built, but no host would accept it.
    #[error(transparent)]
    Unfit(#[from] ComponentError),
    /// A file could not be read or written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
}

/// Builds the machine whose crate is in `dir`. cargo's own output goes to stderr.
///
/// # Errors
///
/// Fails if no component was built; the error says what to do.
pub fn build(dir: &Path) -> Result<Built, BuildError> {
    let package = find_package(dir)?;
    check_target(dir)?;
    let module = compile(dir, &package)?;
    let module = fs::read(&module).map_err(|cause| BuildError::Io { path: module, cause })?;
    let component = encode(&package.name, &module)?;
    let path = package.target_directory.join("reapply").join(format!("{}.wasm", package.name));
    write(&path, &component)?;
    Ok(Built { package: package.name, path, bytes: component.len(), digest: Digest::of(&component) })
}

/// The metadata of a crate, read before the crate is compiled.
struct Package {
    name: String,
    manifest: PathBuf,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<CargoTarget>,
}

#[derive(Deserialize)]
struct CargoTarget {
    crate_types: Vec<String>,
}

impl CargoTarget {
    fn is_cdylib(&self) -> bool {
        self.crate_types.iter().any(|crate_type| crate_type == "cdylib")
    }
}

fn find_package(dir: &Path) -> Result<Package, BuildError> {
    let manifest = dir.join("Cargo.toml");
    let Ok(manifest) = manifest.canonicalize() else {
        return Err(BuildError::NoManifest(dir.to_owned()));
    };
    let output = run("cargo", dir, ["metadata", "--format-version=1", "--no-deps"])?;
    let metadata = output.and_then(|json| serde_json::from_slice::<Metadata>(&json).ok());
    let Some(Metadata { packages, workspace_root, target_directory }) = metadata else {
        return Err(BuildError::BadManifest(manifest));
    };
    let is_here = |package: &MetadataPackage| {
        package.manifest_path.canonicalize().is_ok_and(|manifest_path| manifest_path == manifest)
    };
    let Some(package) = packages.into_iter().find(is_here) else {
        return Err(BuildError::NoPackage(manifest));
    };
    if !package.targets.iter().any(CargoTarget::is_cdylib) {
        return Err(BuildError::NotCdylib(manifest));
    }
    Ok(Package { name: package.name, manifest, workspace_root, target_directory })
}

/// Checks that the target's library is installed. Without this check the compiler fails with an error about a crate called `core`.
fn check_target(dir: &Path) -> Result<(), BuildError> {
    let printed = run("rustc", dir, ["--print=target-libdir", "--target", TARGET])?.unwrap_or_default();
    if Path::new(String::from_utf8_lossy(&printed).trim()).is_dir() { Ok(()) } else { Err(BuildError::TargetMissing) }
}

#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: CargoTarget,
    filenames: Vec<PathBuf>,
}

fn compile(dir: &Path, package: &Package) -> Result<PathBuf, BuildError> {
    let failed = || BuildError::CompileFailed(package.name.clone());
    // `cargo build` would make the rlib too, and would then skip link-time optimisation: the module would be half as large again.
    let fixed = ["rustc", "--release", "--lib", "--crate-type", "cdylib", "--target", TARGET];
    let fixed = fixed.into_iter().chain(["--message-format=json-render-diagnostics"]);
    let without_paths = without_paths(package);
    let settings = PROFILE.into_iter().chain([without_paths.as_str()]);
    let arguments = fixed.chain(settings.flat_map(|setting| ["--config", setting]));
    let messages = run("cargo", dir, arguments)?.ok_or_else(failed)?;
    messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Artifact>(line).ok())
        .filter(|artifact| artifact.target.is_cdylib())
        .filter(|artifact| artifact.manifest_path.canonicalize().is_ok_and(|path| path == package.manifest))
        .flat_map(|artifact| artifact.filenames)
        .find(|path| path.extension() == Some(OsStr::new("wasm")))
        .ok_or_else(failed)
}

/// Returns the setting that keeps the names of this machine's folders out of the component; panics would carry them to every browser. With it,
/// the digest depends on the code and the toolchain alone, not on where they are.
fn without_paths(package: &Package) -> String {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).unwrap_or_default();
    let flags = [(&cargo_home, "/cargo"), (&package.workspace_root, "/machine")]
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    format!("target.{TARGET}.rustflags={}", serde_json::json!(flags))
}

/// Runs a tool in `dir`, so that rustup picks the crate's own toolchain. Returns the tool's output if it succeeded.
fn run<'a>(
    tool: &'static str,
    dir: &Path,
    arguments: impl IntoIterator<Item = &'a str>,
) -> Result<Option<Vec<u8>>, BuildError> {
    let output = Command::new(tool)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|cause| BuildError::NoTool { tool, cause })?;
    Ok(output.status.success().then_some(output.stdout))
}

fn encode(package: &str, module: &[u8]) -> Result<Vec<u8>, BuildError> {
    check_module(package, module)?;
    let not_encoded = |error| BuildError::NotEncoded { package: package.to_owned(), cause: format!("{error:#}") };
    let component = ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(not_encoded)?;
    Ok(canonical_component(&component)?.to_vec())
}

/// The prefix of imports that the encoder makes itself, to handle the exported resource.
const OWN_IMPORTS: &str = "[export]";

/// Checks the module for common mistakes of authors, before the encoder reports them in terms of the component model.
fn check_module(package: &str, module: &[u8]) -> Result<(), BuildError> {
    let bad = |error: wasmparser::BinaryReaderError| BuildError::NotEncoded {
        package: package.to_owned(),
        cause: error.to_string(),
    };
    let mut has_machine = false;
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(bad)? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(bad)?;
                    if !import.module.starts_with(OWN_IMPORTS) {
                        let import = format!("{}::{}", import.module, import.name);
                        return Err(BuildError::Imports { package: package.to_owned(), import });
                    }
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    has_machine |= export.map_err(bad)?.name.starts_with(INTERFACE);
                }
            }
            _ => {}
        }
    }
    if has_machine { Ok(()) } else { Err(BuildError::NoExport(package.to_owned())) }
}

/// Writes the file whole or not at all, since a host may be reading it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let failed = |cause| BuildError::Io { path: path.to_owned(), cause };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path)).map_err(failed)
}
