//! The wasmtime side: from a component's bytes to a running machine.
//!
//! ```text
//!  bytes ──deploy::check──▶ Build ──instantiate──▶ Instance: reapply_sync::Machine
//!            │  size, validity, no imports, our world      one store each; fuel and memory limited
//!            │  canonical: NaNs made canonical in the code
//!            │  trial: describes itself, creates, restores
//!            └▶ Plan: how a page's fixed adapter starts the same bytes
//! ```
//!
//! Read in this order: [`limits`], [`engine`], [`canonical`], [`deploy`], [`component`], [`instance`], [`pool`], [`plan`].

mod bindings;
pub mod builds;
pub mod canonical;
pub mod component;
pub mod deploy;
pub mod engine;
pub mod instance;
pub mod limits;
pub mod machines;
mod panic;
pub mod plan;
pub mod pool;
mod shape;
mod subject;

pub use builds::Builds;
pub use component::{Build, Description};
pub use deploy::{DeployError, Deployment, check};
pub use engine::{Engine, EngineError, Stack};
pub use instance::{Instance, State};
pub use machines::{Machines, MachinesError};
pub use plan::Plan;
pub use pool::{Lane, MachinePool};
