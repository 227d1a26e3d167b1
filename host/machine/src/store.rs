//! A wasmtime store, with limits on the resources of the machine in it.

use reapply_sync::Fault;
use wasmtime::{ResourceLimiter, Store};

use super::fault::{Denied, fault};
use super::limits::{
    CORE_INSTANCES_MAX, FUEL_PER_STATE, MEMORIES_MAX, MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX,
};

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
    pub(super) memory_bytes: usize,
    /// The limit of the current call.
    pub(super) memory_bytes_max: usize,
    table_elements: usize,
}

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
