//! The browser's side of Reapply: `sync`'s `Replica` through wasm-bindgen.
//!
//! ```text
//!  page ──▶ js/reapply.js ──▶ js/reapply/room.js ──▶ replica::Replica ──▶ reapply_sync::Replica
//!                               │      ▲                                        │ Machine
//!                               │      └── effects: frames, outcomes, ...       ▼
//!                               │                                     machine::ComponentMachine
//!                               └──▶ js/reapply/component.js ◀──────────────────┘
//!                                      the very component that the host runs
//! ```
//!
//! Everything that is protocol is here, everything that is browser (sockets, timers, promises) is in `js/`. JSON crosses as
//! strings, unread. Read in this order: [`replica`], [`machine`], [`rejection`], [`past`].

#![warn(missing_docs)]

pub mod machine;
pub mod past;
pub mod rejection;
pub mod replica;

use wasm_bindgen::prelude::wasm_bindgen;

/// The digest of a component's bytes, as it stands in URLs.
#[must_use]
#[wasm_bindgen]
pub fn digest(bytes: &[u8]) -> String {
    reapply_sync::Digest::of(bytes).to_string()
}
