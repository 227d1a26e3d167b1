//! The simulated network: pages and a room with a native machine, in virtual time, with everything that can go wrong
//! between them. Each run follows from its seed alone. Only tests use it.
//!
//! ```text
//!  Scenario ──acts──▶ Page: Driver ──▶ network ──▶ Shell: Room ──▶ Journal
//!     │                 │    │          delays, cuts      │   crashes, failed appends, snapshots
//!     │                 │    └──▶ Browser: locks, writes that fail, silence, reloads, tabs that take over
//!     └── naive model ◀─┴──────────── Auditor ◀───────────┘
//! ```
//!
//! The subject of a simulation is a [`Scenario`]: a machine, the actions of its participants, and a naive model with the expected results.
//! Besides, machines break off in any of their calls, some states are too large for a snapshot, and strangers speak the protocol by hand.
//!
//! [`simulate`] runs it over many seeds. After every step the auditor compares each replica's state with the model at that place in the durable
//! log, and each transition with the one outcome that it may have. At the end everyone must have the same bytes.

mod auditor;
mod build;
mod conditions;
mod coverage;
mod faults;
mod history;
mod journal;
mod network;
mod plan;
mod random;
mod room;
mod roster;
mod scenario;
mod slices;
mod world;

pub use history::{Accepted, Conflict, History};
pub use plan::{Plan, simulate};
pub use random::Random;
pub use scenario::{Ask, Place, Scenario, StateOf};
