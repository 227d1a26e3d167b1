//! A running build, as the protocol knows a machine.

use bytes::Bytes;
use reapply_sync::{Alarm, ApplyError, CodecError, Event, Fault, LoadError, Machine, Refusal, Timestamp};
use wasmtime::component::ResourceAny;

use super::bindings::exports::reapply::machine::machine::{self as wit, Guest};
use super::component::Build;
use super::engine::Stack;
use super::fault::{broken_off, cut};
use super::limits::{CONFLICT_BYTES_MAX, FUEL_PER_SNAPSHOT_BYTE, FUEL_PER_STATE};
use super::running::{Budget, Calling, PER_CREATION, PER_EVENT, PER_REPLAYED_EVENT, PER_STATE, Running, State};

/// A running build. After a [`Fault`] its memory is freed, and calls fail until [`Machine::reset`].
pub struct Instance {
    build: Build,
    stack: Stack,
    running: Option<Running>,
    /// Whether nothing was called since the instance started.
    is_fresh: bool,
    /// Whether the last event was applied again. The next call drops the state before it.
    is_replaying: bool,
    /// The maximum fuel of one call for now.
    slice: Option<u64>,
    /// Whether the last call ended only because it exceeded the slice.
    is_interrupted: bool,
    /// The fuel of all calls since [`Machine::take_cost`].
    cost: u64,
}

impl Build {
    /// Starts the machine in a store of its own, which shares nothing but the code with any other.
    ///
    /// # Errors
    ///
    /// The machine faults at its start, or the host has no memory for it.
    pub fn instantiate(&self) -> Result<Instance, Fault> {
        self.instantiate_with(Stack::Judging)
    }

    /// Starts the machine with one of the stacks. The first start with [`Stack::Replaying`] takes the build from the engine's cache, or
    /// compiles it again.
    ///
    /// # Errors
    ///
    /// The same as for [`Build::instantiate`].
    pub fn instantiate_with(&self, stack: Stack) -> Result<Instance, Fault> {
        let running = Some(Running::start(self.pre(stack)?)?);
        let build = self.clone();
        Ok(Instance {
            build,
            stack,
            running,
            is_fresh: true,
            is_replaying: false,
            slice: None,
            is_interrupted: false,
            cost: 0,
        })
    }
}

impl Instance {
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
        self.running.as_ref()?.used()
    }

    fn call<T>(
        &mut self,
        budget: Budget,
        f: impl FnOnce(&Guest, Calling<'_>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        let within = self.limits(budget);
        let running = self.running.as_mut().ok_or_else(broken_off)?;
        let result = running.call(within, f);
        self.settle(budget, result)
    }

    fn call_with<T>(
        &mut self,
        state: &State,
        budget: Budget,
        f: impl FnOnce(&Guest, Calling<'_>, ResourceAny) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        let within = self.limits(budget);
        let running = self.running.as_mut().ok_or_else(broken_off)?;
        if !running.holds(state) {
            return Err(Fault::Trapped("this state was lost when the machine was reset".into()));
        }
        let result = running.call(within, |guest, store| f(guest, store, state.resource()));
        self.settle(budget, result)
    }

    /// Returns the limits of the next call.
    fn limits(&self, budget: Budget) -> Budget {
        let budget = if self.is_replaying { budget.after_replayed() } else { budget };
        budget.within(self.slice)
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
        Ok(self.running.as_ref().ok_or_else(broken_off)?.adopt(resource))
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
        let applied = self.apply_within(PER_EVENT, state, event);
        self.is_replaying = false;
        applied
    }

    fn reapply(&mut self, state: &State, event: &Event) -> Result<State, ApplyError> {
        self.is_replaying = true;
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

    fn memory_bytes(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.memory_bytes())
    }

    fn set_slice(&mut self, cost_max: Option<u64>) {
        self.slice = cost_max;
    }

    fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }
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
