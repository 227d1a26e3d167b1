//! Properties that hold for any input. A failure prints the smallest case that proptest found, and keeps its seed.

mod messages;
mod rebase;
mod replica;
mod sequencer;
mod tally;
