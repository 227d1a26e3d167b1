//! The browser's side of Reapply: the client's [`Driver`](reapply_client_core::Driver) through wasm-bindgen.
//!
//! ```text
//!  page ──▶ js/reapply.js ──▶ js/reapply/room.js ──▶ driver::Driver ──▶ reapply_client_core::Driver ──▶ reapply_sync::Replica
//!                               │      ▲                                                                    │ Machine
//!                               │      └── effects: frames, writes, outcomes, ...                           ▼
//!                               │                                                              machine::ComponentMachine
//!                               └──▶ js/reapply/component.js ◀──────────────────────────────────────────────┘
//!                                      the very component that the host runs
//! ```
//!
//! Everything that is decided is behind the driver, everything that is browser (sockets, storage, locks, timers, promises) is in `js/`. Views cross
//! as strings, unread. Read in this order: [`driver`], [`effects`], [`arrival`], [`machine`], [`past`].

#![warn(missing_docs)]

pub mod arrival;
pub mod driver;
pub mod effects;
pub mod machine;
pub mod past;
mod surroundings;

use wasm_bindgen::prelude::wasm_bindgen;

/// The digest of a component's bytes, as it stands in URLs.
#[must_use]
#[wasm_bindgen]
pub fn digest(bytes: &[u8]) -> String {
    reapply_sync::Digest::of(bytes).to_string()
}
