//! What a component must pass before rooms run it. Each refusal is one sentence with its cause.

use bytes::Bytes;
use reapply_sync::{Fault, LoadError, Machine};
use wasmparser::{Chunk, Parser, Payload, Validator, WasmFeatures};

use super::canonical::canonicalise;
use super::component::Build;
use super::engine::{Engine, FEATURES};
use super::limits::{COMPONENT_BYTES_MAX, CORE_NAME_BYTES_MAX, SCHEMAS_BYTES_MAX};
use super::plan::Plan;
use super::shape;
use crate::journal::Component;

/// A component that may be deployed.
pub struct Deployment {
    /// The compiled machine. Its digest is that of the canonical component, [`Build::component`], which is what to store and serve.
    pub build: Build,
    /// How a page starts it.
    pub plan: Plan,
}

impl Deployment {
    /// What a journal keeps of it.
    #[must_use]
    pub fn to_component(&self) -> Component {
        Component {
            digest: self.build.digest(),
            bytes: self.build.component().clone(),
            description: self.build.description().to_json().to_string(),
        }
    }
}

/// Why a component is not deployed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// It is over the limit.
    #[error("the component has {bytes} bytes; the limit is {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// It is something else altogether.
    #[error("this is no WebAssembly: deploy the file that `reapply build` writes")]
    NotWasm,
    /// The file breaks off.
    #[error("the component breaks off after {bytes} bytes: the file is truncated")]
    Truncated {
        /// How many there are.
        bytes: usize,
    },
    /// It is what a compiler makes, not yet a component.
    #[error("this is a core module, and a machine is a component: run `reapply build`, which makes one from its crate")]
    CoreModule,
    /// It uses a feature that gives different results in different places.
    #[error("the component uses {0}, which is not deterministic")]
    NotDeterministic(&'static str),
    /// It is no valid component, or uses features that not every browser has.
    #[error("this is no valid component: {0}")]
    Invalid(String),
    /// It wants something from outside.
    #[error("the component imports {}, and a machine imports nothing", list(.0))]
    Imports(Vec<String>),
    /// It is of another world.
    #[error("the component is no state machine: it does not export `{0}`")]
    MissingExport(String),
    /// It is of another world: a function has the right name and another type.
    #[error("the component is no state machine of this contract: the type of `{function}` differs ({cause})")]
    OtherType {
        /// The function.
        function: String,
        /// Where its type differs.
        cause: String,
    },
    /// What it says of itself is unusable.
    #[error("the machine's description has a bad `{field}`: {cause}")]
    BadDescription {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// It broke off in its trial.
    #[error("`{call}` failed: {fault}")]
    Faulted {
        /// The function that was called.
        call: &'static str,
        /// How it broke off.
        fault: Fault,
    },
    /// It refused what it must accept.
    #[error("`{call}` refused {what}: {why}")]
    Refused {
        /// The function that was called.
        call: &'static str,
        /// What it was given.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// Its snapshots lose something.
    #[error(
        "a new state and the state restored from its snapshot have different snapshots ({created} and {restored} bytes)"
    )]
    UnstableSnapshot {
        /// Bytes of the new state's snapshot.
        created: usize,
        /// Bytes of the restored state's snapshot.
        restored: usize,
    },
    /// A core module in it has a name that is not only a name.
    #[error(
        "a core module in the component imports or exports `{0}`: such a name may have at most {CORE_NAME_BYTES_MAX} bytes, \
         which are ASCII letters, digits or one of `_-.:/@#[]+|$`"
    )]
    OddName(String),
    /// It is made of too many parts.
    #[error("the component is too intricate: {0}")]
    Shape(String),
    /// The pages' adapter cannot start it.
    #[error("pages cannot run the component: {0}")]
    Plan(String),
    /// It is not the component's fault: the check itself broke off.
    #[error("the host failed while it checked the component: {0}")]
    Internal(String),
}

/// Checks a component that comes from outside, makes it canonical, compiles it, and tries it out. Takes the time of a compilation, so
/// it belongs on a thread that may block.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn check(engine: &Engine, bytes: &[u8]) -> Result<Deployment, DeployError> {
    let component = canonical_component(bytes)?;
    let build = Build::load(engine, component)?;
    check_schemas(&build.description().schemas)?;
    try_out(&build)?;
    let plan = Plan::of(build.component())?;
    Ok(Deployment { build, plan })
}

/// The part of [`check`] that needs no engine: size, validity, determinism, no imports, plain names. Gives the canonical component.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn canonical_component(bytes: &[u8]) -> Result<Bytes, DeployError> {
    check_size(bytes)?;
    check_header(bytes)?;
    validate(bytes)?;
    check_imports(bytes)?;
    shape::check(bytes)?;
    let canonical = canonicalise(bytes).map_err(|error| DeployError::Invalid(error.to_string()))?;
    // Canonical code is longer, and what is served and stored has the limit.
    check_size(&canonical)?;
    Ok(canonical.into())
}

/// Whether a component is of a size that any host takes.
///
/// # Errors
///
/// It is too large.
pub fn check_size(bytes: &[u8]) -> Result<(), DeployError> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(DeployError::TooLarge { bytes: bytes.len(), bytes_max: COMPONENT_BYTES_MAX });
    }
    Ok(())
}

/// Whoever asks for a machine gets its schemas, so they are bounded. Those of builds that were deployed before stay as they are.
fn check_schemas(schemas: &str) -> Result<(), DeployError> {
    if schemas.len() > SCHEMAS_BYTES_MAX {
        let cause = format!("they have {} bytes; the limit is {SCHEMAS_BYTES_MAX}", schemas.len());
        return Err(DeployError::BadDescription { field: "schemas", cause });
    }
    Ok(())
}

/// What every module and component begins with.
const MAGIC: &[u8] = b"\0asm";

fn check_header(bytes: &[u8]) -> Result<(), DeployError> {
    if bytes.is_empty() || !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
        return Err(DeployError::NotWasm);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(DeployError::CoreModule);
    }
    if is_truncated(bytes) {
        return Err(DeployError::Truncated { bytes: bytes.len() });
    }
    Ok(())
}

/// Whether the outermost sections promise more bytes than there are.
fn is_truncated(bytes: &[u8]) -> bool {
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    while !rest.is_empty() {
        match parser.parse(rest, false) {
            Ok(Chunk::NeedMoreData(_)) => return true,
            Ok(Chunk::Parsed { consumed, payload }) => {
                let nested = match &payload {
                    Payload::ModuleSection { unchecked_range, .. }
                    | Payload::ComponentSection { unchecked_range, .. } => unchecked_range.len(),
                    _ => 0,
                };
                let Some(next) = rest.get(consumed + nested..) else { return true };
                rest = next;
            }
            // Damaged, which validation says better.
            Err(_) => return false,
        }
    }
    false
}

fn validate(bytes: &[u8]) -> Result<(), DeployError> {
    let valid_with = |features| Validator::new_with_features(features).validate_all(bytes);
    let Err(error) = valid_with(FEATURES) else { return Ok(()) };
    let undeterministic = [
        (WasmFeatures::THREADS, "threads or shared memory"),
        (WasmFeatures::RELAXED_SIMD, "relaxed SIMD"),
        (WasmFeatures::THREADS.union(WasmFeatures::RELAXED_SIMD), "threads and relaxed SIMD"),
    ];
    for (features, named) in undeterministic {
        if valid_with(WasmFeatures::WASM3.union(FEATURES).difference(NOT_DETERMINISTIC).union(features)).is_ok()
            && valid_with(WasmFeatures::WASM3.union(FEATURES).difference(NOT_DETERMINISTIC)).is_err()
        {
            return Err(DeployError::NotDeterministic(named));
        }
    }
    Err(DeployError::Invalid(error.to_string()))
}

/// Features that [`validate`] names, since leaving them out is about more than their age.
const NOT_DETERMINISTIC: WasmFeatures = WasmFeatures::THREADS.union(WasmFeatures::RELAXED_SIMD);

/// Imports of the component itself. Those of the modules inside it are met inside it, or it would not be valid.
fn check_imports(bytes: &[u8]) -> Result<(), DeployError> {
    let invalid = |error: wasmparser::BinaryReaderError| DeployError::Invalid(error.to_string());
    let mut depth = 0;
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    names.push(import.map_err(invalid)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    if names.is_empty() { Ok(()) } else { Err(DeployError::Imports(names)) }
}

/// Creates, takes a snapshot, restores, and takes it again.
fn try_out(build: &Build) -> Result<(), DeployError> {
    let mut machine = build.instantiate()?;
    let created = machine.create("").map_err(|error| load_error("create", "the default options", error))?;
    let faulted = |fault| DeployError::Faulted { call: "snapshot", fault };
    let before = machine.snapshot(&created).map_err(faulted)?;
    let restored = machine
        .restore(&before, build.description().state_version)
        .map_err(|error| load_error("restore", "its own snapshot of a new state", error))?;
    let after = machine.snapshot(&restored).map_err(faulted)?;
    if before != after {
        return Err(DeployError::UnstableSnapshot { created: before.len(), restored: after.len() });
    }
    machine.alarm(&created).map_err(|fault| DeployError::Faulted { call: "alarm", fault })?;
    machine.view(&created).map_err(|fault| DeployError::Faulted { call: "view", fault })?;
    Ok(())
}

fn load_error(call: &'static str, what: &'static str, error: LoadError) -> DeployError {
    match error {
        LoadError::Refused(why) => DeployError::Refused { call, what, why },
        LoadError::Fault(fault) => DeployError::Faulted { call, fault },
    }
}

impl From<Fault> for DeployError {
    fn from(fault: Fault) -> Self {
        Self::Faulted { call: "start", fault }
    }
}

/// How many imports an error names.
const IMPORTS_NAMED_MAX: usize = 3;

fn list(names: &[String]) -> String {
    let named: Vec<String> = names.iter().take(IMPORTS_NAMED_MAX).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(IMPORTS_NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
