//! The building blocks: against naive models, with two people at once, as bytes and as JSON.

mod atom;
mod bounds;
mod common;
mod counter;
mod list;
mod list_long;
mod list_together;
mod map;
mod set;
