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
//! What is simulated is a [`Scenario`]: a machine, what its participants do, and a naive model that says what must come of it.
//! Machines break off besides, wherever they are asked for something, some states are too large for a snapshot, and strangers speak the
//! protocol by hand.
//!
//! [`simulate`] runs it over many seeds. After every step the auditor holds what each replica shows against the model at that place in
//! the durable log, and each transition against the one outcome it may have; at the end everyone must have the same bytes.

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
