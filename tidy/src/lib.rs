//! Rules about the shape of this repository's code. The tests of this crate hold all other crates to them.
//!
//! | rule | test |
//! | --- | --- |
//! | No crate depends on one above its floor. | `tests/floors.rs` |
//! | No file uses one that uses it, on whatever way. | `tests/circles.rs`, by [`graph`] and [`names`] |
//! | No file and no function is too long. | `tests/sizes.rs` |

pub mod graph;
pub mod names;
pub mod workspace;
