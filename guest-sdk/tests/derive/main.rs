//! `#[derive(StateMachine)]` and `#[machine]`: what they accept, and what it does. What they refuse is in `tests/ui/`.

#![deny(missing_docs, unused, clippy::all, clippy::pedantic)]

mod enums;
mod generics;
mod hygiene;
mod json;
mod structs;
mod versions;
