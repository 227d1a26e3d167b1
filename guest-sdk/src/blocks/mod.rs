//! The building blocks: state machines that compose.

mod order;
