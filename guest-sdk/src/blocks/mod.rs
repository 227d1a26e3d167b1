//! The building blocks: state machines that compose.
//!
//! All blocks are cheap to clone, since clones share their parts, and equal states give equal bytes however they came about.

mod atom;
mod batch;
mod board;
mod bounds;
mod constant;
mod convert;
mod counter;
mod list;
mod map;
mod option;
mod order;
mod set;
mod text;

pub use atom::{Atom, AtomRc, AtomTransition};
pub use batch::{Batch, BatchConflict, BatchTransition};
pub use board::{Board, BoardConflict, BoardTransition};
pub use bounds::{BYTES_MAX, ENTRIES_MAX};
pub use constant::Constant;
pub use counter::{Counter, CounterConflict, CounterTransition};
pub use list::{List, ListConflict, ListTransition, Place};
pub use map::{Map, MapConflict, MapTransition};
pub use option::{OptionConflict, OptionMachine, OptionTransition};
pub use set::{Set, SetConflict, SetTransition};
pub(crate) use text::with_deleted;
pub use text::{CharId, CharRange, Text, TextConflict, TextLimit, TextTransition};
