//! The checks that a component must pass before rooms run it. Each refusal is one sentence with its cause.

use reapply_component::canonical_component;
use reapply_sync::{LoadError, Machine};

use super::component::Build;
use super::engine::Engine;
use super::error::DeployError;
use super::limits::SCHEMAS_BYTES_MAX;
use super::plan::Plan;

/// A component that may be deployed.
pub struct Deployment {
    /// The compiled machine. Its digest is that of the canonical component, [`Build::component`]. Store and serve that one.
    pub build: Build,
    /// The plan by which a page starts the machine.
    pub plan: Plan,
}

/// Checks a component that comes from outside, makes it canonical, compiles it, and tries it out. This takes the time of a compilation, so
/// call it on a thread that may block.
///
/// # Errors
///
/// The component has a problem, of which the first is returned.
pub fn check(engine: &Engine, bytes: &[u8]) -> Result<Deployment, DeployError> {
    let component = canonical_component(bytes)?;
    let build = Build::load(engine, component)?;
    check_schemas(&build.description().schemas)?;
    try_out(&build)?;
    let plan = Plan::of(build.component())?;
    Ok(Deployment { build, plan })
}

/// Checks the size of the schemas, since every request for a machine returns them. Builds that were deployed earlier keep theirs.
fn check_schemas(schemas: &str) -> Result<(), DeployError> {
    if schemas.len() > SCHEMAS_BYTES_MAX {
        let cause = format!("they have {} bytes; the limit is {SCHEMAS_BYTES_MAX}", schemas.len());
        return Err(DeployError::BadDescription { field: "schemas", cause });
    }
    Ok(())
}

/// Creates a state, takes a snapshot, restores it, and takes another snapshot.
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
