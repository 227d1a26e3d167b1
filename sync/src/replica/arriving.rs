//! The arrival of a snapshot in parts. It is kept while connections break, goes on where it stopped, and is proved before it is used.

use super::Replica;
use super::arrival::Arrival;
use crate::limits::SNAPSHOT_BYTES_MAX;
use crate::machine::Machine;
use crate::message::{ClientMessage, SnapshotInParts, Start, Welcome};

impl<M: Machine> Replica<M> {
    /// Returns the number of bytes that are here of a state that comes in parts, and its size. Returns `None` if no such state is under way.
    /// The bytes are kept while connections break.
    #[must_use]
    pub fn arriving(&self) -> Option<(u64, u64)> {
        self.arrival.as_ref().map(|arrival| (arrival.received(), arrival.bytes))
    }

    /// Handles the announcement of a snapshot whose parts follow.
    pub(super) fn begin_arrival(&mut self, welcome: Welcome, snapshot: &SnapshotInParts) {
        let SnapshotInParts { hash, bytes, from, .. } = *snapshot;
        if bytes > SNAPSHOT_BYTES_MAX as u64 {
            self.arrival = None;
            self.fail(format!("the room's snapshot has {bytes} bytes; the limit is {SNAPSHOT_BYTES_MAX}"));
            return;
        }
        let held = self.arrival.take().filter(|arrival| (arrival.hash, arrival.bytes) == (hash, bytes));
        let mut arrival = held.unwrap_or_else(|| Arrival::begin(hash, bytes));
        if from > arrival.received() {
            let held = arrival.received();
            self.fail(format!("the room goes on at byte {from} of a snapshot of which {held} bytes are here"));
            return;
        }
        arrival.cut_to(from);
        self.arrival = Some(arrival);
        self.arriving = Some(Box::new(welcome));
        self.finish_arrival();
    }

    /// Handles the next part.
    pub(super) fn handle_part(&mut self, at: u64, part: &[u8]) {
        // A part without a welcome that waits for it is of a session that is gone.
        let (Some(arrival), Some(_)) = (&mut self.arrival, &self.arriving) else { return };
        match arrival.push(at, part) {
            Ok(()) => self.finish_arrival(),
            Err(why) => self.fail_arrival(&why),
        }
    }

    /// Proves the snapshot once it is complete, and goes on as if it had come with its welcome.
    fn finish_arrival(&mut self) {
        let (Some(arrival), Some(_)) = (&mut self.arrival, &self.arriving) else { return };
        let hash = arrival.hash;
        let state = match arrival.whole() {
            Ok(Some(state)) => state,
            Ok(None) => return,
            Err(why) => return self.fail_arrival(&why),
        };
        let Some(mut welcome) = self.arriving.take() else { return };
        if let Start::Parts(snapshot) = &welcome.start {
            let SnapshotInParts { seq, state_version, time, chain, .. } = **snapshot;
            welcome.start = Start::Snapshot { seq, state_version, time, chain, state };
        }
        self.transmit.push_back(ClientMessage::Arrived(hash).encode());
        self.handle_welcome(*welcome);
    }

    /// Drops a snapshot that is not the announced one, so that the next connection begins again.
    fn fail_arrival(&mut self, why: &str) {
        (self.arrival, self.arriving) = (None, None);
        self.fail(format!("the room's snapshot has not arrived as it was sent: {why}"));
    }
}
