//! The protocol's promises: as properties that hold for any input, and as single scenarios that chance would rarely meet.
//! A failing property prints the smallest case that was found.

mod arrival;
mod fragile;
mod last_trials;
mod messages;
mod overfull;
mod rebase;
mod rebase_cost;
mod replica;
mod replica_scenarios;
mod room;
mod sequencer;
mod sequencer_scenarios;
mod slices;
mod tally;
mod trials;
mod upgrades;
