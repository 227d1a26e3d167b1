//! The machines that a host knows: the build that new rooms of each run, and the compiled builds themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use reapply_journal::crash;
use reapply_journal::{Component, Journal, JournalError, MachineRecord};
use reapply_machine::limits::{DEPLOYMENTS_AT_ONCE_MAX, DESCRIPTIONS_BYTES_MAX};
use reapply_machine::{Build, Builds, DeployError, Engine, Instance, Lane, LoadedBuilds, MachinePool, Stack};
use reapply_sync::{Digest, Name};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::clock;

/// Deploys, finds and compiles machines. Cheap to clone.
#[derive(Clone)]
pub struct Machines {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    pool: MachinePool,
    journal: Arc<dyn Journal>,
    loaded: LoadedBuilds,
    described: Mutex<HashMap<Digest, Described>>,
    /// A permit for each component that may be checked or wait for that.
    deployments: Arc<Semaphore>,
}

/// A build's size and description. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Described {
    /// The number of bytes of the component.
    pub bytes: usize,
    /// The machine's description of itself, as JSON.
    pub description: Bytes,
}

/// The reason why a build is not available.
#[derive(Debug, thiserror::Error)]
pub enum MachinesError {
    /// The component was refused.
    #[error(transparent)]
    Refused(#[from] DeployError),
    /// Too many components are being checked.
    #[error("{DEPLOYMENTS_AT_ONCE_MAX} deployments are being checked, which is the host's limit; try again later")]
    Busy,
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A log names a build that is not stored.
    #[error("the build {0} is not stored")]
    NotStored(Digest),
    /// A stored component, which was accepted once, no longer loads.
    #[error("the stored component {digest} does not load: {why}")]
    Stored {
        /// The digest of the component.
        digest: Digest,
        /// The reason.
        why: String,
    },
}

impl Machines {
    /// Returns the machines that `journal` holds.
    #[must_use]
    pub fn new(engine: Engine, journal: Arc<dyn Journal>) -> Self {
        Self {
            shared: Arc::new(Shared {
                engine,
                pool: MachinePool::default(),
                journal,
                loaded: LoadedBuilds::default(),
                described: Mutex::default(),
                deployments: Arc::new(Semaphore::new(DEPLOYMENTS_AT_ONCE_MAX)),
            }),
        }
    }

    /// Checks a component, and makes it the build that new rooms of the machine `name` run. By default the name is the component's own.
    /// Returns the name and the build.
    ///
    /// # Errors
    ///
    /// The component is refused, too many others are being checked, or it could not be stored. The current build stays the same.
    pub async fn deploy(&self, name: Option<Name>, component: Bytes) -> Result<(Name, Build), MachinesError> {
        let permit = Arc::clone(&self.shared.deployments).try_acquire_owned().map_err(|_| MachinesError::Busy)?;
        let engine = self.shared.engine.clone();
        let check = move || {
            // The check goes on if nobody waits for it any more.
            let _permit = permit;
            reapply_machine::check(&engine, &component)
        };
        let checked = self.shared.pool.try_run(Lane::Deploy, check).await;
        let build = checked.map_err(|panic| DeployError::Internal(panic.to_string()))??.build;
        let digest = build.digest();
        let name = name.unwrap_or_else(|| build.description().name.clone());
        self.shared.journal.put_component(to_component(&build)).await?;
        crash::point("component-stored");
        self.shared.journal.set_current(&name, digest, clock::now()).await?;
        self.shared.loaded.cell(digest).get_or_init(|| async { build.clone() }).await;
        self.shared.loaded.drop_unused();
        Ok((name, build))
    }

    /// Returns the build with this digest, compiled; `None` if it is not stored.
    ///
    /// # Errors
    ///
    /// The journal fails, or the stored component does not load.
    pub async fn build(&self, digest: Digest) -> Result<Option<Build>, MachinesError> {
        let cell = self.shared.loaded.cell(digest);
        if let Some(build) = cell.get() {
            return Ok(Some(build.clone()));
        }
        let Some(component) = self.shared.journal.component(digest).await? else { return Ok(None) };
        let load = || async {
            let engine = self.shared.engine.clone();
            let loaded = self.shared.pool.try_run(Lane::Load, move || Build::load(&engine, component.bytes)).await;
            let stored = |why: String| MachinesError::Stored { digest, why };
            loaded.map_err(|panic| stored(panic.to_string()))?.map_err(|error| stored(error.to_string()))
        };
        let build = cell.get_or_try_init(load).await.cloned()?;
        drop(cell);
        self.shared.loaded.drop_unused();
        Ok(Some(build))
    }

    /// Returns the description and the size of the build with this digest; `None` if it is not stored. The component itself is read only once.
    ///
    /// # Errors
    ///
    /// The journal fails.
    pub async fn described(&self, digest: Digest) -> Result<Option<Described>, JournalError> {
        if let Some(described) = self.descriptions().get(&digest) {
            return Ok(Some(described.clone()));
        }
        let Some(component) = self.shared.journal.component(digest).await? else { return Ok(None) };
        let description = if component.description.is_empty() { "null".into() } else { component.description.into() };
        let described = Described { bytes: component.bytes.len(), description };
        let mut kept = self.descriptions();
        let bytes: usize = kept.values().map(|described| described.description.len()).sum();
        if bytes + described.description.len() <= DESCRIPTIONS_BYTES_MAX {
            kept.insert(digest, described.clone());
        }
        Ok(Some(described))
    }

    /// Returns all builds with these digests.
    ///
    /// # Errors
    ///
    /// One of them is not stored, or does not load.
    pub async fn builds(&self, digests: impl IntoIterator<Item = Digest>) -> Result<Builds, MachinesError> {
        let mut builds = Builds::default();
        for digest in digests {
            if builds.get(digest).is_none() {
                let build = self.build(digest).await?;
                builds.insert(build.ok_or(MachinesError::NotStored(digest))?);
            }
        }
        Ok(builds)
    }

    /// Returns a function from digests to machines, for replays of logs. Call this method on the runtime, and the function on a thread that may
    /// block. The function may wait for [`Lane::Load`].
    pub fn for_replay(&self) -> impl FnMut(Digest) -> Result<Instance, String> + Send + use<> {
        let (machines, runtime) = (self.clone(), Handle::current());
        move |digest| {
            let build = runtime.block_on(machines.build(digest)).map_err(|error| error.to_string())?;
            let build = build.ok_or_else(|| "it is not stored".to_owned())?;
            build.instantiate_with(Stack::Replaying).map_err(|fault| fault.to_string())
        }
    }

    /// Returns the record of a machine, with the build that its new rooms run; `None` if there is no such machine.
    ///
    /// # Errors
    ///
    /// The journal fails.
    pub async fn current(&self, name: &Name) -> Result<Option<MachineRecord>, JournalError> {
        let machines = self.shared.journal.machines().await?;
        Ok(machines.into_iter().find(|machine| machine.name == *name))
    }

    /// Returns the engine that the machines run on.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// Returns the threads that the machines run on.
    #[must_use]
    pub fn pool(&self) -> &MachinePool {
        &self.shared.pool
    }

    fn descriptions(&self) -> MutexGuard<'_, HashMap<Digest, Described>> {
        self.shared.described.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the component of a build, as a journal keeps it.
pub(crate) fn to_component(build: &Build) -> Component {
    let description = build.description().to_json().to_string();
    Component { digest: build.digest(), bytes: build.component().clone(), description }
}
