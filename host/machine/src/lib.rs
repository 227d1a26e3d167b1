//! Runs machines on wasmtime: from a component's bytes to a running machine.
//!
//! ```text
//!  bytes ──deploy::check──▶ Build ──instantiate──▶ Instance: reapply_sync::Machine
//!            │  canonical_component, from `reapply-component`      one store each; fuel and memory limited
//!            │  our world: its functions and their types
//!            │  trial: describes itself, creates, restores
//!            └▶ Plan: how a page's fixed adapter starts the same bytes
//! ```
//!
//! Read in this order: [`limits`], [`engine`], [`deploy`], [`component`], [`instance`], [`pool`], [`plan`].

#![warn(missing_docs)]

mod bindings;
pub mod builds;
pub mod component;
pub mod deploy;
pub mod engine;
mod error;
mod fault;
pub mod instance;
pub mod limits;
mod loaded;
mod panic;
pub mod plan;
pub mod pool;
mod priority;
mod running;
mod store;
mod subject;

pub use builds::Builds;
pub use component::{Build, Description};
pub use deploy::{Deployment, check};
pub use engine::{Engine, EngineError, Stack};
pub use error::DeployError;
pub use instance::Instance;
pub use loaded::{BuildCell, LoadedBuilds};
pub use plan::Plan;
pub use pool::{JobPanicked, Lane, MachinePool};
pub use running::State;
