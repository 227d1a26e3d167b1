//! Upgrades: rooms switch to another build, all of them or none, and only after a trial.
//!
//! ```text
//!  http::upgrades ──▶ Upgrades::begin ──▶ UpgradeJob ──run──▶ gate::try_room, for each room ──▶ Line::Tried
//!                       one at a time                      │ none fails
//!                                                          ▼
//!                                              Room::upgrade, for each room ──▶ Line::Upgraded, Line::Kept
//! ```
//!
//! The gate plays a room's last events on both builds, in instances of its own (`trial`), without affecting the room or its log. The
//! findings, and then the actions, are reported line by line ([`report`]).

pub mod limits;
pub mod report;

mod diff;
mod gate;
mod job;
mod trial;

pub use job::{UpgradeJob, UpgradeJobError, UpgradeRequest, UpgradeTarget, Upgrades};
