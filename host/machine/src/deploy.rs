//! What a component must pass before rooms run it. Each refusal is one sentence with its cause.

use reapply_component::canonical_component;
use reapply_sync::{LoadError, Machine};

use super::component::Build;
use super::engine::Engine;
use super::error::DeployError;
use super::limits::SCHEMAS_BYTES_MAX;
use super::plan::Plan;

/// A component that may be deployed.
pub struct Deployment {
    /// The compiled machine. Its digest is that of the canonical component, [`Build::component`], which is what to store and serve.
    pub build: Build,
    /// How a page starts it.
    pub plan: Plan,
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

/// Whoever asks for a machine gets its schemas, so they are bounded. Those of builds that were deployed before stay as they are.
fn check_schemas(schemas: &str) -> Result<(), DeployError> {
    if schemas.len() > SCHEMAS_BYTES_MAX {
        let cause = format!("they have {} bytes; the limit is {SCHEMAS_BYTES_MAX}", schemas.len());
        return Err(DeployError::BadDescription { field: "schemas", cause });
    }
    Ok(())
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
