//! Wakes rooms so that their logs say who has left.
//!
//! After a crash of the host, a room's log still lists participants as present whose sessions are gone. The journal notes with each
//! batch whether somebody is present. So these rooms are woken after a start, a few at a time, and absent participants leave, even if
//! nobody asks for the room.

use std::collections::HashSet;
use std::time::Instant;

use reapply_journal::JournalError;
use reapply_sync::RoomId;
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};
use tracing::{error, warn};

use super::error::EnterError;
use super::limits::{ABSENT_AT_ONCE, ABSENT_RETRY_AFTER, ABSENT_TOLD_MAX, ALARM_RINGS_MAX, ROOMS_READ_MAX};
use super::rooms::Rooms;

/// Finds sleeping rooms whose logs say that somebody is present, and wakes them.
pub(super) struct Absent {
    rooms: Rooms,
    waking: JoinSet<(RoomId, Result<(), EnterError>)>,
    /// Rooms that did not open, and that the operator was told about.
    told: HashSet<RoomId>,
}

/// The outcome of a pass through the rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Done,
    /// Some rooms were not woken, so another pass is needed.
    Unfinished,
}

impl Absent {
    pub(super) fn new(rooms: Rooms) -> Self {
        Self { rooms, waking: JoinSet::new(), told: HashSet::new() }
    }

    /// Makes a pass at once, and another whenever a room may need it, until the host stops.
    pub(super) async fn run(mut self) {
        while !self.rooms.is_stopping() {
            let next = Instant::now() + ABSENT_RETRY_AFTER;
            let pass = self.pass().await.unwrap_or_else(|error| {
                warn!(%error, "the journal could not list the rooms where somebody is present; it is asked again");
                Pass::Unfinished
            });
            if pass == Pass::Done {
                self.rooms.abandoned().await;
            }
            // A room may fail in the same way each time, so passes keep an interval.
            let _stopping = timeout_at(next.into(), self.stopping()).await;
        }
    }

    /// Wakes every sleeping room that the journal notes as occupied.
    async fn pass(&mut self) -> Result<Pass, JournalError> {
        let (mut after, mut pass) = (None, Pass::Done);
        loop {
            let found = self.rooms.logs().journal.occupied(after.as_ref(), ROOMS_READ_MAX).await?;
            let Some(last) = found.last() else { break };
            after = Some(last.clone());
            for room in found {
                if self.rooms.is_stopping() {
                    return Ok(Pass::Done);
                }
                if self.rooms.are_many_awake() {
                    pass = Pass::Unfinished;
                    continue;
                }
                if self.waking.len() >= ABSENT_AT_ONCE {
                    pass = self.next_woken(pass).await;
                }
                let rooms = self.rooms.clone();
                self.waking.spawn(async move {
                    let woken = timeout(ALARM_RINGS_MAX, rooms.rouse(&room)).await;
                    (room, woken.unwrap_or(Ok(())))
                });
            }
        }
        while !self.waking.is_empty() {
            pass = self.next_woken(pass).await;
        }
        Ok(pass)
    }

    /// Waits for the next room that is being woken.
    async fn next_woken(&mut self, pass: Pass) -> Pass {
        match self.waking.join_next().await {
            Some(Ok((room, Err(why)))) => {
                self.report(room, &why);
                Pass::Unfinished
            }
            // A panic in the task was reported where it happened.
            _ => pass,
        }
    }

    fn report(&mut self, room: RoomId, why: &EnterError) {
        if !matches!(why, EnterError::Open(_) | EnterError::Troubled(_))
            || self.told.len() >= ABSENT_TOLD_MAX
            || self.told.contains(&room)
        {
            return;
        }
        let retry_s = ABSENT_RETRY_AFTER.as_secs();
        error!(%room, %why, "the room cannot be opened, so its log does not say who has left; it is tried again every {retry_s} s");
        self.told.insert(room);
    }

    /// Waits until the host stops.
    async fn stopping(&self) {
        while !self.rooms.is_stopping() {
            self.rooms.abandoned().await;
        }
    }
}
