//! A running machine: one wasmtime store, with limits on its resources.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reapply_sync::{Alarm, ApplyError, CodecError, Event, Fault, LoadError, Machine, Refusal, Timestamp};
use wasmtime::component::ResourceAny;
use wasmtime::{ResourceLimiter, Store, Trap};

use super::bindings::exports::reapply::machine::machine::{self as wit, Guest};
use super::bindings::{StateMachine, StateMachinePre};
use super::component::Build;
use super::engine::Stack;
use super::limits::{
    CONFLICT_BYTES_MAX, CORE_INSTANCES_MAX, FUEL_PER_EVENT, FUEL_PER_REPLAYED_EVENT, FUEL_PER_SNAPSHOT_BYTE,
    FUEL_PER_STATE, MEMORIES_MAX, MEMORY_BYTES_MAX, MEMORY_STATE_BYTES_MAX, MESSAGE_BYTES_MAX, TABLE_ELEMENTS_MAX,
    TABLES_MAX,
};
use super::panic;

/// A running build. After a [`Fault`] its memory is freed, and calls fail until [`Machine::reset`].
pub struct Instance {
    build: Build,
    stack: Stack,
    running: Option<Running>,
    /// Whether nothing was called since the instance started.
    is_fresh: bool,
    /// The maximum fuel of one call for now.
    slice: Option<u64>,
    /// Whether the last call ended only because it exceeded the slice.
    is_interrupted: bool,
    /// The fuel of all calls since [`Machine::take_cost`].
    cost: u64,
}

/// The resources that one call may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    fuel: u64,
    /// The size up to which the call may grow the instance's memory.
    memory_bytes_max: usize,
    /// The fuel for dropping all states that were released before the call.
    fuel_for_drops: u64,
}

impl Budget {
    const fn new(fuel: u64, memory_bytes_max: usize) -> Self {
        Self { fuel, memory_bytes_max, fuel_for_drops: FUEL_PER_STATE }
    }

    /// Returns the budget, limited by a slice.
    fn within(self, slice: Option<u64>) -> Self {
        let Some(slice) = slice else { return self };
        let (fuel, fuel_for_drops) = (self.fuel.min(slice), self.fuel_for_drops.min(slice));
        Self { fuel, fuel_for_drops, ..self }
    }
}

/// The budget of a call that judges something new, or whose work is in proportion to one event.
pub(super) const PER_EVENT: Budget = Budget::new(FUEL_PER_EVENT, MEMORY_BYTES_MAX);

/// The budget of a call that creates the first state from new options.
const PER_CREATION: Budget = Budget::new(FUEL_PER_STATE, MEMORY_BYTES_MAX);

/// The budget of a call whose work is in proportion to an accepted state.
const PER_STATE: Budget = Budget::new(FUEL_PER_STATE, MEMORY_STATE_BYTES_MAX);

/// The budget of applying an accepted event again.
const PER_REPLAYED_EVENT: Budget = Budget::new(FUEL_PER_REPLAYED_EVENT, MEMORY_STATE_BYTES_MAX);

/// A handle to a state inside an instance. Dropping it, on any thread, frees the state at the instance's next call.
pub struct State {
    resource: ResourceAny,
    dropped: Arc<Dropped>,
}

impl Instance {
    pub(super) fn start(build: Build, stack: Stack) -> Result<Self, Fault> {
        let running = Some(Running::start(build.pre(stack)?)?);
        Ok(Self { build, stack, running, is_fresh: true, slice: None, is_interrupted: false, cost: 0 })
    }

    /// Returns the build that runs here.
    #[must_use]
    pub fn build(&self) -> &Build {
        &self.build
    }

    /// Returns the view of `state`, as JSON.
    ///
    /// # Errors
    ///
    /// The machine faults.
    pub fn view(&mut self, state: &State) -> Result<String, Fault> {
        self.call_with(state, PER_STATE, |guest, store, state| guest.state().call_view(store, state))
    }

    /// Returns the fuel of the last call, and the bytes of linear memory; `None` after a fault.
    pub(super) fn used(&self) -> Option<(u64, usize)> {
        let running = self.running.as_ref()?;
        let left = running.store.get_fuel().ok()?;
        Some((running.fuel.saturating_sub(left), running.store.data().memory_bytes))
    }

    fn call<T>(
        &mut self,
        budget: Budget,
        f: impl FnOnce(&Guest, Calling<'_>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        let running = self.running.as_mut().ok_or_else(broken_off)?;
        let result = running.call(budget.within(self.slice), f);
        self.settle(budget, result)
    }

    fn call_with<T>(
        &mut self,
        state: &State,
        budget: Budget,
        f: impl FnOnce(&Guest, Calling<'_>, ResourceAny) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        let running = self.running.as_mut().ok_or_else(broken_off)?;
        if !Arc::ptr_eq(&running.dropped, &state.dropped) {
            return Err(Fault::Trapped("this state was lost when the machine was reset".into()));
        }
        let result = running.call(budget.within(self.slice), |guest, store| f(guest, store, state.resource));
        self.settle(budget, result)
    }

    /// Adds up the cost of a call. After a fault the machine's memory may be in any state, so it is freed at once.
    fn settle<T>(&mut self, budget: Budget, result: Result<T, Fault>) -> Result<T, Fault> {
        self.is_fresh = false;
        let Some(running) = &mut self.running else { return result };
        self.cost = self.cost.saturating_add(running.spent());
        if result.is_err() {
            let is_sliced = self.slice.is_some_and(|slice| slice < budget.fuel);
            self.is_interrupted = is_sliced && running.fuel_left() == 0;
            self.running = None;
        }
        result
    }

    fn adopt(&self, resource: ResourceAny) -> Result<State, Fault> {
        let running = self.running.as_ref().ok_or_else(broken_off)?;
        Ok(State { resource, dropped: running.dropped.clone() })
    }

    fn load(&mut self, loaded: Result<ResourceAny, String>) -> Result<State, LoadError> {
        match loaded {
            Ok(resource) => Ok(self.adopt(resource)?),
            Err(why) => Err(LoadError::Refused(cut(why))),
        }
    }

    fn restore_once(&mut self, snapshot: &[u8], state_version: u32) -> Result<State, LoadError> {
        let fuel = FUEL_PER_STATE.saturating_add(FUEL_PER_SNAPSHOT_BYTE.saturating_mul(snapshot.len() as u64));
        let budget = Budget { fuel, ..PER_STATE };
        let restored = self.call(budget, |guest, store| guest.state().call_restore(store, snapshot, state_version))?;
        self.load(restored)
    }

    fn apply_within(&mut self, budget: Budget, state: &State, event: &Event) -> Result<State, ApplyError> {
        let event = lower(event)?;
        match self.call_with(state, budget, |guest, store, state| guest.state().call_apply(store, state, event))? {
            Ok(resource) => Ok(self.adopt(resource)?),
            Err(rejection) => Err(refusal(rejection).into()),
        }
    }
}

impl Machine for Instance {
    type State = State;

    fn create(&mut self, options: &str) -> Result<State, LoadError> {
        let created = self.call(PER_CREATION, |guest, store| guest.state().call_create(store, options))?;
        self.load(created)
    }

    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<State, LoadError> {
        let is_fresh = self.is_fresh;
        let restored = self.restore_once(snapshot, state_version);
        let is_fault = matches!(restored, Err(LoadError::Fault(_))) && !self.is_interrupted;
        if is_fault && is_fresh && self.stack == Stack::Judging {
            // A state may take more stack to restore than it took to build.
            self.stack = Stack::Replaying;
            self.reset()?;
            return self.restore_once(snapshot, state_version);
        }
        restored
    }

    fn apply(&mut self, state: &State, event: &Event) -> Result<State, ApplyError> {
        self.apply_within(PER_EVENT, state, event)
    }

    fn reapply(&mut self, state: &State, event: &Event) -> Result<State, ApplyError> {
        self.apply_within(PER_REPLAYED_EVENT, state, event)
    }

    fn snapshot(&mut self, state: &State) -> Result<Bytes, Fault> {
        let snapshot =
            self.call_with(state, PER_STATE, |guest, store, state| guest.state().call_snapshot(store, state))?;
        Ok(snapshot.into())
    }

    fn alarm(&mut self, state: &State) -> Result<Option<Alarm>, Fault> {
        let alarm = self.call_with(state, PER_EVENT, |guest, store, state| guest.state().call_alarm(store, state))?;
        Ok(alarm.map(|alarm| Alarm { at: Timestamp(alarm.at), transition: alarm.transition.into() }))
    }

    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        match self.call(PER_EVENT, |guest, store| guest.call_encode(store, json))? {
            Ok(transition) => Ok(transition.into()),
            Err(why) => Err(CodecError::Refused(cut(why))),
        }
    }

    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        match self.call(PER_EVENT, |guest, store| guest.call_decode(store, transition))? {
            Ok(json) => Ok(json),
            Err(why) => Err(CodecError::Refused(cut(why))),
        }
    }

    fn state_version(&self) -> u32 {
        self.build.description().state_version
    }

    fn membership(&self) -> bool {
        self.build.description().membership
    }

    fn reset(&mut self) -> Result<(), Fault> {
        // The old memory is freed before the new one is allocated.
        (self.running, self.is_fresh, self.is_interrupted) = (None, true, false);
        let running = Running::start(self.build.pre(self.stack)?)?;
        self.cost = self.cost.saturating_add(running.spent());
        self.running = Some(running);
        Ok(())
    }

    fn take_cost(&mut self) -> u64 {
        std::mem::take(&mut self.cost)
    }

    fn set_slice(&mut self, cost_max: Option<u64>) {
        self.slice = cost_max;
    }

    fn is_interrupted(&self) -> bool {
        self.is_interrupted
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
    pub(super) fn start(pre: &StateMachinePre<Usage>) -> Result<Self, Fault> {
        let mut store = new_store(pre.engine())?;
        let exports = pre.instantiate(&mut store).map_err(fault)?;
        let dropping = Vec::new();
        Ok(Self { store, exports, dropped: Arc::default(), dropping, fuel: FUEL_PER_STATE, spent_on_drops: 0 })
    }

    /// Returns the fuel of the last call, including the drops before it.
    fn spent(&self) -> u64 {
        self.spent_on_drops.saturating_add(self.fuel.saturating_sub(self.fuel_left()))
    }

    /// Returns the fuel that the last call left.
    fn fuel_left(&self) -> u64 {
        self.store.get_fuel().unwrap_or_default()
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

/// Creates a store with its limits, and with the fuel to start a machine.
pub(super) fn new_store(engine: &wasmtime::Engine) -> Result<Store<Usage>, Fault> {
    let usage = Usage { memory_bytes: 0, memory_bytes_max: MEMORY_BYTES_MAX, table_elements: 0 };
    let mut store = Store::new(engine, usage);
    store.limiter(|usage| usage);
    store.set_fuel(FUEL_PER_STATE).map_err(fault)?;
    Ok(store)
}

/// The limited resources that an instance holds.
pub(super) struct Usage {
    memory_bytes: usize,
    /// The limit of the current call.
    memory_bytes_max: usize,
    table_elements: usize,
}

/// A growth that was refused. It traps at once, and the machine is not told: a machine that continued could reach another state
/// here than in a browser, which has more memory.
#[derive(Debug, thiserror::Error)]
#[error("exhausted its {0}")]
struct Denied(String);

impl ResourceLimiter for Usage {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if exceeds_its_own(desired, maximum) {
            return Ok(false);
        }
        let bytes = (self.memory_bytes - current).saturating_add(desired);
        if bytes > self.memory_bytes_max {
            return Err(Denied(format!("memory ({} MiB)", self.memory_bytes_max >> 20)).into());
        }
        self.memory_bytes = bytes;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Denied(format!("memory (the host has no more: {error:#})")).into())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if exceeds_its_own(desired, maximum) {
            return Ok(false);
        }
        let elements = (self.table_elements - current).saturating_add(desired);
        if elements > TABLE_ELEMENTS_MAX {
            return Err(Denied(format!("tables ({TABLE_ELEMENTS_MAX} elements)")).into());
        }
        self.table_elements = elements;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Denied(format!("tables (the host has no more: {error:#})")).into())
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

/// Returns whether a growth exceeds the module's own maximum. The machine is told that the growth failed, here as in a browser.
fn exceeds_its_own(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_some_and(|maximum| desired > maximum)
}

fn lower(event: &Event) -> Result<wit::Event<'_>, Refusal> {
    use reapply_sync::Input;
    let input = match &event.input {
        Input::Transition { author, transition, .. } => {
            wit::Input::Transition(wit::Submission { author: &author.0, transition })
        }
        Input::Alarm(transition) => wit::Input::Alarm(transition),
        Input::Joined(author) => wit::Input::Joined(&author.0),
        Input::Left(author) => wit::Input::Left(&author.0),
        Input::Upgraded(_) | Input::Checkpoint { .. } | Input::Forked { .. } => return Err(Refusal::not_for_machines()),
    };
    Ok(wit::Event { seq: event.seq.0, time: event.time.0, entropy: event.entropy, input })
}

fn refusal(rejection: wit::Rejection) -> Refusal {
    match rejection {
        wit::Rejection::Malformed(why) => Refusal::Malformed(cut(why)),
        wit::Rejection::Conflict(conflict) if conflict.len() > CONFLICT_BYTES_MAX => {
            // JSON that is cut off is not JSON, so the conflict is replaced by a JSON string.
            Refusal::Conflict(format!(
                "\"the conflict has {} bytes; the limit is {CONFLICT_BYTES_MAX}\"",
                conflict.len()
            ))
        }
        wit::Rejection::Conflict(conflict) => Refusal::Conflict(conflict),
    }
}

fn broken_off() -> Fault {
    Fault::Trapped("it faulted before and was not reset".into())
}

/// Returns the fault that a failed call means.
pub(super) fn fault(error: wasmtime::Error) -> Fault {
    if let Some(Denied(what)) = error.downcast_ref() {
        return Fault::Exhausted(what.clone());
    }
    match error.downcast_ref() {
        Some(Trap::OutOfFuel) => Fault::Exhausted("fuel (its time for one call)".into()),
        Some(Trap::UnreachableCodeReached) => {
            Fault::Trapped("it panicked, or `unreachable` was executed otherwise".into())
        }
        Some(Trap::StackOverflow) => Fault::Trapped("its stack overflowed".into()),
        Some(trap) => {
            let text = trap.to_string();
            Fault::Trapped(text.strip_prefix("wasm trap: ").unwrap_or(&text).into())
        }
        None => Fault::Trapped(cut(error.root_cause().to_string())),
    }
}

/// Returns the text, cut to the maximum length of a message.
fn cut(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
        text.push('…');
    }
    text
}
