//! A compiled component: one build of a machine, ready to be started any number of times.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use reapply_component::{ComponentError, INTERFACE};
use reapply_sync::{Digest, Fault, Name};
use wasmtime::Store;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower, ResourceAny,
};

use super::bindings::{StateMachinePre, exports::reapply::machine::machine as wit};
use super::engine::{Engine, Stack};
use super::error::DeployError;
use super::fault::fault;
use super::running::{PER_EVENT, Running};
use super::store::{Usage, new_store};

/// One build of a machine. Cheap to clone.
#[derive(Clone)]
pub struct Build {
    inner: Arc<Inner>,
}

struct Inner {
    digest: Digest,
    component: Bytes,
    description: Description,
    /// The bytes of memory of a machine that has only described itself.
    memory_bytes: usize,
    engine: Engine,
    judging: StateMachinePre<Usage>,
    /// The plan, made when it is first needed, which is rare for a build whose rooms are all awake.
    replaying: OnceLock<StateMachinePre<Usage>>,
}

/// A machine's description of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The machine's name.
    pub name: Name,
    /// The version of the snapshots that it writes.
    pub state_version: u32,
    /// Whether participants who come and go cause events in its rooms.
    pub membership: bool,
    /// JSON Schemas, as one JSON object: `options`, `transition`, `conflict`, `view`.
    pub schemas: String,
}

impl Description {
    /// Returns the description as JSON, with the schemas unchanged.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "state_version": self.state_version,
            "membership": self.membership,
            "schemas": serde_json::from_str::<serde_json::Value>(&self.schemas).unwrap_or_default(),
        })
    }
}

impl Build {
    /// Compiles a component that was deployed before, or finds it in the engine's cache, and reads its description.
    ///
    /// Check a component that comes from elsewhere with [`super::deploy::check`] instead.
    ///
    /// # Errors
    ///
    /// The component does not implement our world, does not compile, or faults in `describe`.
    pub fn load(engine: &Engine, component: Bytes) -> Result<Self, DeployError> {
        let invalid = |error: wasmtime::Error| DeployError::from(ComponentError::Invalid(format!("{error:#}")));
        let pre = compile(engine, Stack::Judging, &component).map_err(invalid)?;
        check_exports(engine, &pre)?;
        let judging = StateMachinePre::new(pre).map_err(invalid)?;
        let (description, memory_bytes) = describe(&judging)?;
        let digest = Digest::of(&component);
        let (engine, replaying) = (engine.clone(), OnceLock::new());
        Ok(Self { inner: Arc::new(Inner { digest, component, description, memory_bytes, engine, judging, replaying }) })
    }

    /// Returns BLAKE3 of the component's bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// Returns the component's bytes.
    #[must_use]
    pub fn component(&self) -> &Bytes {
        &self.inner.component
    }

    /// Returns whether there are other clones of this build.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.inner) > 1
    }

    /// Returns the machine's description of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.inner.description
    }

    /// Returns the bytes of memory that each machine of this build takes at least.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.inner.memory_bytes
    }

    /// Returns the linked component, with one of the stacks.
    pub(super) fn pre(&self, stack: Stack) -> Result<&StateMachinePre<Usage>, Fault> {
        let Inner { component, engine, judging, replaying, .. } = &*self.inner;
        if stack == Stack::Judging || engine.has_one_stack() {
            return Ok(judging);
        }
        if let Some(pre) = replaying.get() {
            return Ok(pre);
        }
        let pre = compile(engine, stack, component).and_then(StateMachinePre::new).map_err(fault)?;
        Ok(replaying.get_or_init(|| pre))
    }
}

fn compile(engine: &Engine, stack: Stack, component: &[u8]) -> wasmtime::Result<InstancePre<Usage>> {
    let engine = engine.wasmtime(stack);
    Linker::new(engine).instantiate_pre(&Component::new(engine, component)?)
}

/// Checks the functions by name and by type. The generated bindings would not say which function is wrong.
fn check_exports(engine: &Engine, pre: &InstancePre<Usage>) -> Result<(), DeployError> {
    let mut store = new_store(engine.wasmtime(Stack::Judging))?;
    let instance = pre.instantiate(&mut store).map_err(fault)?;
    let Some(interface) = instance.get_export_index(&mut store, None, INTERFACE) else {
        return Err(DeployError::MissingExport(INTERFACE.to_owned()));
    };
    let mut exports = Exports { store, instance, interface };
    exports.check::<(), (wit::Description,)>("describe")?;
    exports.check::<(&str,), (Result<Vec<u8>, String>,)>("encode")?;
    exports.check::<(&[u8],), (Result<String, String>,)>("decode")?;
    exports.check::<(&str,), (Result<ResourceAny, String>,)>("[static]state.create")?;
    exports.check::<(&[u8], u32), (Result<ResourceAny, String>,)>("[static]state.restore")?;
    exports.check::<(ResourceAny, wit::Event<'_>), (Result<ResourceAny, wit::Rejection>,)>("[method]state.apply")?;
    exports.check::<(ResourceAny,), (Vec<u8>,)>("[method]state.snapshot")?;
    exports.check::<(ResourceAny,), (Option<wit::Alarm>,)>("[method]state.alarm")?;
    exports.check::<(ResourceAny,), (String,)>("[method]state.view")
}

struct Exports {
    store: Store<Usage>,
    instance: wasmtime::component::Instance,
    interface: ComponentExportIndex,
}

impl Exports {
    fn check<Params, Return>(&mut self, name: &str) -> Result<(), DeployError>
    where
        Params: ComponentNamedList + Lower,
        Return: ComponentNamedList + Lift,
    {
        let Self { store, instance, interface } = self;
        let export = instance.get_export_index(&mut *store, Some(interface), name);
        let Some(function) = export.and_then(|export| instance.get_func(&mut *store, export)) else {
            return Err(DeployError::MissingExport(format!("{INTERFACE}#{name}")));
        };
        match function.typed::<Params, Return>(&*store) {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(DeployError::OtherType { function: name.to_owned(), cause: error.root_cause().to_string() })
            }
        }
    }
}

/// Returns the machine's description, and the bytes of memory that it has afterwards.
fn describe(pre: &StateMachinePre<Usage>) -> Result<(Description, usize), DeployError> {
    let faulted = |fault| DeployError::Faulted { call: "describe", fault };
    let mut running = Running::start(pre)?;
    let description = running.call(PER_EVENT, |guest, store| guest.call_describe(store)).map_err(faulted)?;
    Ok((Description::try_from(description)?, running.memory_bytes()))
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
            Ok(_) => Err(bad("schemas", "it is JSON, but not an object".into())),
            Err(error) => Err(bad("schemas", format!("it is not JSON: {error}"))),
        }
    }
}
