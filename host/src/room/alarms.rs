//! Wakes sleeping rooms for their alarms.
//!
//! A room that is awake handles its own alarm. The journal stores the time of each room's alarm together with the events that set it, so
//! a room may sleep, and the host may be down. An alarm that became due meanwhile goes off once, as soon as possible.
//!
//! ```text
//!  journal.alarms ──earliest──▶ Alarms ──ring, a few at a time──▶ Rooms::ring ──▶ the room decides, stores, sleeps again
//!        ▲                                                                            │
//!        └────────────────────────────── when to wake it next ◀───────────────────────┘
//! ```

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reapply_journal::JournalError;
use reapply_sync::{RoomId, Timestamp};
use tokio::task::JoinSet;
use tracing::{error, warn};

use super::error::EnterError;
use super::limits::{ALARM_RETRY_AFTER, ALARM_RINGS_MAX, ALARMS_AT_ONCE, ALARMS_LOOK_INTERVAL, ALARMS_RUNG_MAX};
use super::rooms::Rooms;
use crate::clock;

/// The alarms of all sleeping rooms.
pub(super) struct Alarms {
    rooms: Rooms,
    /// The rooms that are being woken, each with the time when its alarm was due.
    ringing: JoinSet<(RoomId, Result<(), EnterError>)>,
    /// The alarms for which rooms were woken, with the times of the next attempt. The journal forgets them when the room has stored the
    /// outcome, or never, if the room does not open.
    rung: HashMap<RoomId, (Timestamp, Instant)>,
}

impl Alarms {
    pub(super) fn new(rooms: Rooms) -> Self {
        Self { rooms, ringing: JoinSet::new(), rung: HashMap::new() }
    }

    /// Wakes rooms until the host stops.
    pub(super) async fn run(mut self) {
        while !self.rooms.is_stopping() {
            let wait = match self.ring_all_due().await {
                Ok(wait) => wait,
                Err(error) => {
                    warn!(%error, "the journal could not list the alarms that are due; it is asked again");
                    ALARMS_LOOK_INTERVAL
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.rooms.alarms_changed() => {}
                Some(rung) = self.ringing.join_next() => {
                    // A panic in there was already reported at its place.
                    if let Ok((room, Err(error))) = rung {
                        self.report(&room, &error);
                    }
                }
            }
        }
    }

    /// Wakes rooms whose alarms are due. Returns the time to wait until there may be more to do.
    async fn ring_all_due(&mut self) -> Result<Duration, JournalError> {
        let now = Instant::now();
        self.rung.retain(|_, (_, retry_at)| *retry_at > now);
        let free = ALARMS_AT_ONCE.saturating_sub(self.ringing.len());
        if free == 0 || self.rung.len() >= ALARMS_RUNG_MAX || self.rooms.are_many_awake() {
            return Ok(ALARMS_LOOK_INTERVAL);
        }
        // Of these, at least one for each free place has not been rung.
        let earliest = self.rooms.logs().journal.alarms(self.rung.len() + free).await?;
        let is_rung = |room: &RoomId, due| self.rung.get(room).is_some_and(|(rung_for, _)| *rung_for == due);
        let waiting: Vec<_> = earliest.into_iter().filter(|(room, due)| !is_rung(room, *due)).take(free).collect();
        for (room, due) in waiting {
            let wait = due.0.saturating_sub(clock::now().0);
            if wait > 0 {
                // Never for long: the clock may be set.
                return Ok(Duration::from_micros(wait).min(ALARMS_LOOK_INTERVAL));
            }
            self.rung.insert(room.clone(), (due, now + ALARM_RETRY_AFTER));
            let rooms = self.rooms.clone();
            self.ringing.spawn(async move {
                let rung = tokio::time::timeout(ALARM_RINGS_MAX, rooms.ring(&room)).await;
                (room, rung.unwrap_or(Ok(())))
            });
        }
        Ok(ALARMS_LOOK_INTERVAL)
    }

    fn report(&mut self, room: &RoomId, why: &EnterError) {
        let Some(&(due, _)) = self.rung.get(room) else { return };
        match why {
            EnterError::ShuttingDown => {}
            // Another attempt follows when there is space.
            EnterError::Full => drop(self.rung.remove(room)),
            EnterError::NoMemory(_) => {
                self.rung.insert(room.clone(), (due, Instant::now() + ALARMS_LOOK_INTERVAL));
            }
            EnterError::Open(_) | EnterError::Troubled(_) => {
                let due = clock::rfc3339(due);
                let retry_s = ALARM_RETRY_AFTER.as_secs();
                error!(%room, %due, %why, "the room could not be woken for its alarm; it is tried again in {retry_s} s");
            }
        }
    }
}
