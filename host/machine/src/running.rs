//! A machine that has started: one store, the exports in it, and the calls, each under a budget.

use std::sync::{Arc, Mutex, PoisonError};

use reapply_sync::Fault;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::bindings::exports::reapply::machine::machine::Guest;
use super::bindings::{StateMachine, StateMachinePre};
use super::fault::fault;
use super::limits::{
    FUEL_PER_EVENT, FUEL_PER_REPLAYED_DROPS, FUEL_PER_REPLAYED_EVENT, FUEL_PER_STATE, MEMORY_BYTES_MAX,
    MEMORY_STATE_BYTES_MAX,
};
use super::panic;
use super::store::{Usage, new_store};

/// One store and the exports of the machine in it.
pub(super) struct Running {
    store: Store<Usage>,
    exports: StateMachine,
    dropped: Arc<Dropped>,
    /// Empty between calls, and kept only for its allocation.
    dropping: Vec<ResourceAny>,
    /// The fuel that the last call was given.
    fuel: u64,
    /// The fuel that dropping states took before the last call.
    spent_on_drops: u64,
}

/// The type of the store in generated calls.
pub(super) type Calling<'a> = &'a mut Store<Usage>;

impl Running {
    /// Starts a machine in a store of its own.
    pub(super) fn start(pre: &StateMachinePre<Usage>) -> Result<Self, Fault> {
        let mut store = new_store(pre.engine())?;
        let exports = pre.instantiate(&mut store).map_err(fault)?;
        let dropping = Vec::new();
        Ok(Self { store, exports, dropped: Arc::default(), dropping, fuel: FUEL_PER_STATE, spent_on_drops: 0 })
    }

    /// Returns the fuel of the last call, including the drops before it.
    pub(super) fn spent(&self) -> u64 {
        self.spent_on_drops.saturating_add(self.fuel.saturating_sub(self.fuel_left()))
    }

    /// Returns the fuel that the last call left.
    pub(super) fn fuel_left(&self) -> u64 {
        self.store.get_fuel().unwrap_or_default()
    }

    /// Returns the fuel of the last call, and the bytes of linear memory.
    pub(super) fn used(&self) -> Option<(u64, usize)> {
        let left = self.store.get_fuel().ok()?;
        Some((self.fuel.saturating_sub(left), self.store.data().memory_bytes))
    }

    /// Returns the bytes of linear memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes
    }

    /// Returns a handle to a state that a call has returned.
    pub(super) fn adopt(&self, resource: ResourceAny) -> State {
        State { resource, dropped: self.dropped.clone() }
    }

    /// Returns whether a state is in this store.
    pub(super) fn holds(&self, state: &State) -> bool {
        Arc::ptr_eq(&self.dropped, &state.dropped)
    }

    /// Makes one call, with a budget of its own. After an error this instance must not be used again.
    pub(super) fn call<T>(
        &mut self,
        budget: Budget,
        f: impl FnOnce(&Guest, Calling<'_>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        let Budget { fuel, memory_bytes_max, fuel_for_drops } = budget;
        self.free_dropped(fuel_for_drops).map_err(fault)?;
        self.fuel = fuel;
        self.store.set_fuel(fuel).map_err(fault)?;
        self.store.data_mut().memory_bytes_max = memory_bytes_max;
        let result = f(self.exports.reapply_machine_machine(), &mut self.store);
        result.map_err(|error| match panic::report(&error, &self.store) {
            Some(report) => Fault::Trapped(format!("it panicked at {report}")),
            None => fault(error),
        })
    }

    /// Frees the states that were dropped since the last call. `fuel` is the budget of all of them together.
    fn free_dropped(&mut self, fuel: u64) -> wasmtime::Result<()> {
        self.spent_on_drops = 0;
        self.dropped.swap(&mut self.dropping);
        if self.dropping.is_empty() {
            return Ok(());
        }
        self.fuel = fuel;
        self.store.set_fuel(fuel)?;
        for resource in self.dropping.drain(..) {
            resource.resource_drop(&mut self.store)?;
        }
        self.spent_on_drops = fuel.saturating_sub(self.store.get_fuel()?);
        Ok(())
    }
}

/// The resources that one call may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) fuel: u64,
    /// The size up to which the call may grow the instance's memory.
    pub(super) memory_bytes_max: usize,
    /// The fuel for dropping all states that were released before the call.
    pub(super) fuel_for_drops: u64,
}

impl Budget {
    const fn new(fuel: u64, memory_bytes_max: usize) -> Self {
        Self { fuel, memory_bytes_max, fuel_for_drops: FUEL_PER_STATE }
    }

    /// Returns the budget with enough fuel to drop a state of a replay.
    pub(super) fn after_replayed(self) -> Self {
        Self { fuel_for_drops: FUEL_PER_REPLAYED_DROPS, ..self }
    }

    /// Returns the budget, limited by a slice.
    pub(super) fn within(self, slice: Option<u64>) -> Self {
        let Some(slice) = slice else { return self };
        let (fuel, fuel_for_drops) = (self.fuel.min(slice), self.fuel_for_drops.min(slice));
        Self { fuel, fuel_for_drops, ..self }
    }
}

/// The budget of a call that judges something new, or whose work is in proportion to one event.
pub(super) const PER_EVENT: Budget = Budget::new(FUEL_PER_EVENT, MEMORY_BYTES_MAX);

/// The budget of a call that creates the first state from new options.
pub(super) const PER_CREATION: Budget = Budget::new(FUEL_PER_STATE, MEMORY_BYTES_MAX);

/// The budget of a call whose work is in proportion to an accepted state.
pub(super) const PER_STATE: Budget = Budget::new(FUEL_PER_STATE, MEMORY_STATE_BYTES_MAX);

/// The budget of applying an accepted event again.
pub(super) const PER_REPLAYED_EVENT: Budget = Budget::new(FUEL_PER_REPLAYED_EVENT, MEMORY_STATE_BYTES_MAX);

/// A handle to a state inside an instance. Dropping it, on any thread, frees the state at the instance's next call.
pub struct State {
    resource: ResourceAny,
    dropped: Arc<Dropped>,
}

impl State {
    /// Returns the state, as generated calls take it.
    pub(super) fn resource(&self) -> ResourceAny {
        self.resource
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.dropped.push(self.resource);
    }
}

/// The states of one store whose handles were dropped. A handle cannot reach the store, so it leaves the state here.
#[derive(Default)]
struct Dropped(Mutex<Vec<ResourceAny>>);

impl Dropped {
    fn push(&self, resource: ResourceAny) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(resource);
    }

    fn swap(&self, resources: &mut Vec<ResourceAny>) {
        std::mem::swap(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), resources);
    }
}
