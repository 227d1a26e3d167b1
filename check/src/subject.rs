//! The interface of everything that can be checked.

use reapply_sync::{Fault, Machine};

/// A running machine with its whole contract: the part that the protocol uses ([`Machine`]), and the part that people see.
pub trait Subject: Machine {
    /// Returns the machine's description of itself.
    ///
    /// # Errors
    ///
    /// The machine faults.
    fn describe(&mut self) -> Result<Description, Fault>;

    /// Returns the view of a state for user interfaces, as JSON.
    ///
    /// # Errors
    ///
    /// The machine faults.
    fn view(&mut self, state: &Self::State) -> Result<String, Fault>;

    /// Returns the cost of the last call, if it is measured.
    fn usage(&self) -> Option<Usage> {
        None
    }
}

/// The checked part of a machine's description. Its versions and membership are in [`Machine`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The machine's name.
    pub name: String,
    /// JSON Schemas, as one JSON object: `options`, `transition`, `conflict`, `view`.
    pub schemas: String,
}

/// The cost of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The fuel of the last call.
    pub fuel: u64,
    /// The bytes of linear memory that the machine holds.
    pub memory_bytes: u64,
}

/// The host's limits for a machine, so that a report can say how near to them a machine comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The fuel of one `apply`.
    pub fuel_per_apply: u64,
    /// The bytes of linear memory.
    pub memory_bytes: u64,
}
