//! Builds a machine's component, and checks one that comes from elsewhere. Neither needs an engine.
//!
//! ```text
//!  crate ──cargo──▶ core module ──wit-component──▶ component ──canonical_component──▶ canonical component
//!  └──────────────────────── build ──────────────────────────┘  size, validity, no imports, plain names, canonical NaNs
//! ```
//!
//! `reapply build` writes the canonical component. A host makes each deployed component canonical again, which changes nothing the second time.
//! So both know a build by the same digest.
//!
//! Read in this order: [`limits`], [`mod@build`], [`check`], [`canonical`].

pub mod build;
pub mod canonical;
pub mod check;
pub mod error;
pub mod limits;
mod shape;

pub use build::{BuildError, Built, build};
pub use canonical::canonicalise;
pub use check::{FEATURES, INTERFACE, canonical_component, check_size};
pub use error::ComponentError;
