//! What can be checked.

use reapply_sync::{Fault, Machine};

/// A running machine, all of its contract: what the protocol uses of it ([`Machine`]), and what people see.
pub trait Subject: Machine {
    /// What the machine says of itself.
    ///
    /// # Errors
    ///
    /// The machine faults.
    fn describe(&mut self) -> Result<Description, Fault>;

    /// What user interfaces see of a state, as JSON.
    ///
    /// # Errors
    ///
    /// The machine faults.
    fn view(&mut self, state: &Self::State) -> Result<String, Fault>;

    /// What the last call took, where that is measured.
    fn usage(&self) -> Option<Usage> {
        None
    }
}

/// What a machine says of itself, as far as it is checked. The versions and the membership are [`Machine`]'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The machine's name.
    pub name: String,
    /// JSON Schemas, as one JSON object: `options`, `transition`, `conflict`, `view`.
    pub schemas: String,
}

/// What a machine used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Fuel of the last call.
    pub fuel: u64,
    /// Bytes of linear memory that the machine holds.
    pub memory_bytes: u64,
}

/// What the host allows a machine, so that a report can say how near to it a machine comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fuel for one `apply`.
    pub fuel_per_apply: u64,
    /// Bytes of linear memory.
    pub memory_bytes: u64,
}
