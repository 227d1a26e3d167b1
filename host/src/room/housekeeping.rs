//! The background work for rooms besides their own tasks.

use super::absent::Absent;
use super::alarms::Alarms;
use super::rooms::{Rooms, RoomsOptions};
use super::trim;
use super::trims::{self, Trims};
use crate::log::Logs;

/// The background work for rooms: wakes them for their alarms and for participants who were present when a host ended, trims their logs, and puts
/// unused ones to sleep when others need their memory.
#[must_use = "without it, no room wakes for its alarm and no log is trimmed"]
pub struct Housekeeping {
    rooms: Rooms,
    trims: Trims,
}

/// Returns the rooms that have these logs, all of them asleep, and their housekeeping.
pub fn start(logs: Logs, options: RoomsOptions) -> (Rooms, Housekeeping) {
    let (queue, trims) = trims::queue();
    let rooms = Rooms::new(logs, options, queue);
    (rooms.clone(), Housekeeping { rooms, trims })
}

impl Housekeeping {
    /// Works until the rooms are stopped.
    pub async fn run(self) {
        let Self { rooms, trims } = self;
        let trimming = tokio::spawn(trim::run(rooms.clone(), trims));
        tokio::join!(Alarms::new(rooms.clone()).run(), Absent::new(rooms.clone()).run(), rooms.keep_memory());
        trimming.abort();
    }
}
