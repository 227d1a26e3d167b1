//! The browser's side of Reapply: the client's [`Driver`](reapply_client_core::Driver) through wasm-bindgen.
//!
//! ```text
//!  page ──▶ js/reapply.ts ──▶ js/reapply/room.ts ──▶ driver::Driver ──▶ reapply_client_core::Driver ──▶ reapply_sync::Replica
//!                               │      ▲                                                                    │ Machine
//!                               │      └── effects: frames, writes, outcomes, ...                           ▼
//!                               │                                                              machine::ComponentMachine
//!                               └──▶ js/reapply/component.ts ◀──────────────────────────────────────────────┘
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

/// The types that the bindings name.
#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
import type { Component } from "./component.js";
import type { Effects } from "./effects.js";
import type { Status } from "./types.js";

/** What is to be found out or done while a page arrives. */
export type Ask = "openStore" | "tabKey" | "keptKey" | "keepKey" | "lockKey" | "lockRoom" | "unlock" | "orphans" | "read";

/** How much is done for a lock. */
export type Patience = "none" | "moment" | "endless" | "steal";
"#;

/// The digest of a component's bytes, as it stands in URLs.
#[must_use]
#[wasm_bindgen]
pub fn digest(bytes: &[u8]) -> String {
    reapply_sync::Digest::of(bytes).to_string()
}
