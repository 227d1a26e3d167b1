//! The browser's side of Reapply: the client's [`Driver`](reapply_client_core::Driver) through wasm-bindgen.
//!
//! ```text
//!  page ──▶ js/reapply.ts ──▶ js/reapply/room.ts ──▶ driver::Driver ──▶ reapply_client_core::Driver ──▶ reapply_sync::Replica
//!                               │      ▲                                                                    │ Machine
//!                               │      └── effects: frames, writes, outcomes, ...                           ▼
//!                               │                                                              machine::ComponentMachine
//!                               └──▶ js/reapply/component.ts ◀──────────────────────────────────────────────┘
//!                                      the same component that the host runs
//! ```
//!
//! The driver makes all decisions. Everything that needs the browser (sockets, storage, locks, timers, promises) is in `js/`. Views are passed
//! as strings, without being parsed. Read in this order: [`driver`], [`effects`], [`arrival`], [`machine`], [`past`].

#![warn(missing_docs)]

pub mod arrival;
pub mod driver;
pub mod effects;
pub mod machine;
pub mod past;
mod surroundings;

use wasm_bindgen::prelude::wasm_bindgen;

/// The types that the bindings name.
#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
import type { Component } from "./component.js";
import type { Effects } from "./effects.js";
import type { Status } from "./types.js";

/** A request of an arrival to the page. */
export type Ask = "openStore" | "tabKey" | "keptKey" | "keepKey" | "lockKey" | "lockRoom" | "unlock" | "orphans" | "read";

/** The persistence with which a lock is requested. */
export type Patience = "none" | "moment" | "endless" | "steal";
"#;

/// Returns the digest of a component's bytes, as in URLs.
#[must_use]
#[wasm_bindgen]
pub fn digest(bytes: &[u8]) -> String {
    reapply_sync::Digest::of(bytes).to_string()
}
