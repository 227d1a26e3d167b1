//! The driver by hand: one page, one room, and a store that answers as a test wants.

mod connection;
mod identity;
mod order;
mod orphans;
mod queue;
mod rig;
