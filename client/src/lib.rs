//! A participant's side of a room, pure: no sockets, no clock, no random numbers, no storage, no browser.
//!
//! [`Driver`] is the core of every client. It wraps `sync`'s `Replica` in all that a participant decides: when to connect again, what is kept
//! until the room is joined, which numbers are set aside, what is written before it is sent, and when the session ends for good. Its owner
//! performs effects: a browser's page with sockets and IndexedDB, a native program with its own means, the simulator with neither.
//!
//! ```text
//!   Arrival ──Identity──▶ Driver ──Effect──▶ sockets, store, loader, page
//!      ▲ │                   ▲                          │
//!      │ └─Ask─▶ locks,      └────── handle_... ◀───────┘
//!      └Answer── store
//! ```
//!
//! Read in this order: [`identity`], [`queue`], [`transitions`], [`driver`], [`backoff`], [`clock`], [`stretches`], [`limits`].

#![warn(missing_docs)]

pub mod backoff;
pub mod clock;
pub mod driver;
pub mod identity;
pub mod limits;
pub mod queue;
pub mod stretches;
pub mod transitions;

pub use backoff::Backoff;
pub use driver::{Closed, ConnectionId, Driver, Effect, MachineFailure, Role, Status};
pub use identity::{Answer, Arrival, Ask, Identity, KnownClient, Step, TabKey, Wish};
pub use queue::{Change, Entry, Left, Store, WriteId, Written};
pub use transitions::{Decision, NotTakenOn, Returned, Ticket};
