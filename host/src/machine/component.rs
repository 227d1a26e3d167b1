//! A compiled component: one build of a machine, ready to be started any number of times.

use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::{Digest, Fault, Name};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use super::bindings::{StateMachinePre, exports::reapply::machine::machine as wit};
use super::deploy::DeployError;
use super::engine::Engine;
use super::instance::{Instance, Running, Usage};
use super::limits::FUEL_PER_EVENT;

/// One build of a machine. Cheap to clone.
#[derive(Clone)]
pub struct Build {
    inner: Arc<Inner>,
}

struct Inner {
    digest: Digest,
    component: Bytes,
    description: Description,
    pre: StateMachinePre<Usage>,
}

/// What a machine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The machine's name.
    pub name: Name,
    /// The version of the snapshots it writes.
    pub state_version: u32,
    /// Whether participants' coming and going are events of its rooms.
    pub membership: bool,
    /// JSON Schemas, as one JSON object: `options`, `transition`, `conflict`, `view`.
    pub schemas: String,
}

impl Build {
    /// Compiles a component that was deployed before, or finds it in the engine's cache, and asks what it is.
    ///
    /// A component that comes from elsewhere goes through [`super::deploy::check`].
    ///
    /// # Errors
    ///
    /// The component is not of our world, does not compile, or breaks off when it is asked.
    pub fn load(engine: &Engine, component: Bytes) -> Result<Self, DeployError> {
        let compiled = Component::new(engine.wasmtime(), &component)
            .map_err(|error| DeployError::Invalid(format!("{error:#}")))?;
        check_exports(engine, &compiled)?;
        let other_world = |error: wasmtime::Error| DeployError::OtherWorld(format!("{error:#}"));
        let linker = Linker::new(engine.wasmtime());
        let pre = linker.instantiate_pre(&compiled).and_then(StateMachinePre::new).map_err(other_world)?;
        let description = describe(&pre)?;
        let digest = Digest::of(&component);
        Ok(Self { inner: Arc::new(Inner { digest, component, description, pre }) })
    }

    /// BLAKE3 of the component's bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// The component's bytes.
    #[must_use]
    pub fn component(&self) -> &Bytes {
        &self.inner.component
    }

    /// What the machine says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.inner.description
    }

    /// Starts the machine: a store of its own, that shares nothing but the code with any other.
    ///
    /// # Errors
    ///
    /// The machine breaks off at its start, or the host has no memory for it.
    pub fn instantiate(&self) -> Result<Instance, Fault> {
        Instance::start(self.clone())
    }

    pub(super) fn pre(&self) -> &StateMachinePre<Usage> {
        &self.inner.pre
    }
}

/// The interface that a machine exports, as a component names it.
pub(crate) const INTERFACE: &str = "reapply:machine/machine@0.1.0";

/// Its functions, as a component names them.
const FUNCTIONS: [&str; 9] = [
    "describe",
    "encode",
    "decode",
    "[static]state.create",
    "[static]state.restore",
    "[method]state.apply",
    "[method]state.snapshot",
    "[method]state.alarm",
    "[method]state.view",
];

/// Names what is missing before the generated bindings look, so that the error is about the contract.
fn check_exports(engine: &Engine, component: &Component) -> Result<(), DeployError> {
    let missing = |export: &str| DeployError::MissingExport(export.to_owned());
    let engine = engine.wasmtime();
    let component_type = component.component_type();
    let Some(ComponentItem::ComponentInstance(interface)) =
        component_type.get_export(engine, INTERFACE).map(|export| export.ty)
    else {
        return Err(missing(INTERFACE));
    };
    for function in FUNCTIONS {
        match interface.get_export(engine, function).map(|export| export.ty) {
            Some(ComponentItem::ComponentFunc(_)) => {}
            _ => return Err(missing(&format!("{INTERFACE}#{function}"))),
        }
    }
    Ok(())
}

fn describe(pre: &StateMachinePre<Usage>) -> Result<Description, DeployError> {
    let faulted = |fault| DeployError::Faulted { call: "describe", fault };
    let mut running = Running::start(pre)?;
    let description = running.call(FUEL_PER_EVENT, |guest, store| guest.call_describe(store)).map_err(faulted)?;
    Description::try_from(description)
}

impl TryFrom<wit::Description> for Description {
    type Error = DeployError;

    fn try_from(description: wit::Description) -> Result<Self, DeployError> {
        let wit::Description { name, state_version, membership, schemas } = description;
        let bad = |field, cause| DeployError::BadDescription { field, cause };
        let name: Name = name.parse().map_err(|error: reapply_sync::NameError| bad("name", error.to_string()))?;
        if state_version == 0 {
            return Err(bad("state-version", "it is 0, and versions count from 1".into()));
        }
        match serde_json::from_str(&schemas) {
            Ok(serde_json::Value::Object(_)) => Ok(Self { name, state_version, membership, schemas }),
            Ok(_) => Err(bad("schemas", "it is JSON, but no object".into())),
            Err(error) => Err(bad("schemas", format!("it is not JSON: {error}"))),
        }
    }
}
