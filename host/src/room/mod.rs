//! A room's life: woken on first use, asleep when nobody has used it for a while, and in between one task that decides.
//!
//! ```text
//!  http::socket, http::rooms ──▶ Rooms::enter ──▶ Room (a handle)
//!                                    │ wakes           │ Command, bounded queue
//!                                    ▼                 ▼
//!                                 open::open ──▶ task::Task, a shell around the pure reapply_sync::Room
//!                                                      │ effects, performed in order
//!                                 sessions ◀── History + News (a watch: "there is more to read"), journal, operator
//! ```
//!
//! A confirmation takes these steps and no other: session task, room task, journal thread, room task, session task.

mod absent;
mod alarms;
mod budget;
mod command;
mod direct;
mod error;
mod follow;
mod followed;
mod housekeeping;
pub mod limits;
mod memory;
mod open;
mod replay;
#[expect(clippy::module_inception, reason = "a room is what this folder is about")]
mod room;
mod rooms;
mod submits;
mod tally;
mod task;
mod trim;
mod trims;
mod troubles;
mod upgrade;
mod view;
mod waking;

pub use command::{DirectMessage, Gone, Outbox};
pub(crate) use direct::BUSY;
pub use direct::Submission;
pub use error::{EnterError, NoMemory, OpenRoomError, PastError, UpgradeRoomError, ViewError};
pub use follow::Follower;
pub use housekeeping::{Housekeeping, start};
pub use reapply_sync::room::{Entered, SubmitOnce, Verdict};
pub(crate) use replay::look_at;
pub use replay::{LogPosition, Moment, find, seq_at, state_at};
pub use room::{News, Room};
pub use rooms::{Rooms, RoomsOptions};
pub use view::View;
