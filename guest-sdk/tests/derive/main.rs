//! `#[derive(StateMachine)]` and `#[machine]`: accepted inputs, and the generated behaviour. Refused inputs are in `tests/ui/`.

#![deny(missing_docs, unused, clippy::all, clippy::pedantic)]

mod enums;
mod generics;
mod hygiene;
mod json;
mod structs;
mod versions;
