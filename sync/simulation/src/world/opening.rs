//! The waking of the room: from a snapshot that its build restores, from an earlier one, from its genesis, or not at all this time.

use std::collections::BTreeSet;
use std::sync::Arc;

use reapply_sync::room::{Now, Ticks, Waking};
use reapply_sync::{Goodbye, OpenError, ReplayError, Seq, Sequencer, ServerMessage, Snapshot};

use super::World;
use super::task::{Task, Waiting};
use crate::build::Build;
use crate::room::Shell;
use crate::scenario::Scenario;

impl<S: Scenario> World<S> {
    /// Wakes the room if it sleeps, unless it fails to open.
    pub(super) fn wake(&mut self, is_used: bool) {
        if self.room.is_some() || self.is_down {
            return;
        }
        let Some(sequencer) = self.open_room() else {
            self.turn_away();
            return;
        };
        if self.journal.note.alarm.is_none() {
            self.auditor.check_alarm(None);
        }
        let noted = self.journal.note;
        let waking = Waking { noted, is_used, sleep_after_micros: self.sleep_after };
        let (ticks, time) = (Ticks(self.now), self.clock());
        let sessions_max = self.conditions.limits.room_sessions_max;
        let mut draw = || self.random.bits();
        self.room = Some(Shell::new(sequencer, waking, sessions_max, &mut Now { ticks, time, entropy: &mut draw }));
        self.timer_scheduled = None;
        (self.is_note_uncertain, self.alarm_failed) = (false, None);
        self.pump_room();
    }

    /// Tries one start after the other, as long as the snapshot itself is what cannot be restored.
    fn open_room(&mut self) -> Option<Sequencer<Build<S::Machine>>> {
        let mut start = self.first_start();
        loop {
            let opened = self.journal.wake(&self.scenario, start.as_deref());
            self.ledger.note_struck(self.journal.faults.take());
            let error = match opened {
                Ok(sequencer) => return Some(sequencer),
                Err(error) => error,
            };
            assert!(self.ledger.note_told(&error.to_string()), "the room did not open, though nothing failed: {error}");
            let failed = start.filter(|start| is_of_snapshot(start, &error))?;
            self.coverage.starts_failed += 1;
            let earlier = self.journal.snapshots.iter().filter(|snapshot| snapshot.seq < failed.seq);
            start = earlier.max_by_key(|snapshot| snapshot.seq).cloned();
        }
    }

    /// Chooses the first start. Snapshots are a convenience: the room must also open from an old one, or without any.
    fn first_start(&mut self) -> Option<Arc<Snapshot>> {
        let snapshots = &self.journal.snapshots;
        match self.random.below(4) {
            0 => None,
            1 if !snapshots.is_empty() => Some(Arc::clone(&snapshots[self.random.index(snapshots.len())])),
            _ => snapshots.iter().max_by_key(|snapshot| snapshot.seq).cloned(),
        }
    }

    /// Turns everyone away who waits for a room that does not open. They are told so, and may come again.
    fn turn_away(&mut self) {
        self.coverage.openings_failed += 1;
        let mut turned_away = BTreeSet::new();
        for waiting in std::mem::take(&mut self.inbox) {
            match waiting {
                Waiting::Frame { connection, .. } => drop(turned_away.insert(connection)),
                Waiting::Once { askers, .. } => self.auditor.note_unserved(&askers),
                Waiting::Closed { .. } | Waiting::Upgrade { .. } => {}
            }
        }
        for connection in turned_away {
            let goodbye = Goodbye::RoomFailed("its state could not be made".to_owned());
            self.send_down(connection, ServerMessage::Goodbye(goodbye).encode());
            self.close_down(connection);
        }
        self.wake_for_alarm_later();
    }

    pub(super) fn send_down(&mut self, connection: usize, frame: bytes::Bytes) {
        if let Some(at) = self.connections[connection].down.arrival(self.now, &mut self.random) {
            self.schedule(at - self.now, Task::Down { connection, frame });
        }
    }

    /// Ends a connection for the host, which receives and sends nothing more on it.
    pub(super) fn close_down(&mut self, connection: usize) {
        self.connections[connection].is_ended = true;
        if let Some(at) = self.connections[connection].down.arrival(self.now, &mut self.random) {
            self.schedule(at - self.now, Task::DownClosed { connection });
        }
    }
}

/// Returns whether the error is that this snapshot could not be restored.
fn is_of_snapshot(snapshot: &Snapshot, error: &OpenError) -> bool {
    matches!(error, OpenError::Replay(ReplayError::Load { seq, .. }) if *seq == snapshot.seq && snapshot.seq > Seq(0))
}
