//! The remains of a crash, and their removal.

use rusqlite::Connection;

use super::outcome::Outcome;
use super::room_row::RoomRow;
use super::row::Failed;
use super::unfinished::Unfinished;
use super::{rooms, sweep};

/// The remains of a crash: staged rooms, rows that a trim had not removed yet, and parts of snapshots.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    rooms: Vec<i64>,
    chunks: Vec<i64>,
}

impl Leftovers {
    /// Finds the remains. Call this before any new work begins.
    pub(super) fn find(connection: &Connection) -> rusqlite::Result<Self> {
        let (rooms, chunks) = Unfinished::noted(connection)?;
        Ok(Self { rooms, chunks })
    }

    /// Returns whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.chunks.is_empty()
    }

    /// Removes as much as one transaction may.
    pub(super) fn remove_some(&mut self, connection: &Connection) -> Result<(), Failed> {
        if let Some(&key) = self.rooms.last() {
            if in_transaction(connection, || sweep_room(connection, key))? {
                self.rooms.pop();
            }
        } else if let Some(&id) = self.chunks.last()
            && in_transaction(connection, || sweep_chunks(connection, id))?
        {
            self.chunks.pop();
        }
        Ok(())
    }
}

/// Removes a portion of the remains of a room. Returns whether that was the last one.
fn sweep_room(connection: &Connection, key: i64) -> Result<bool, Failed> {
    let is_last = match RoomRow::at(connection, key)? {
        Some(row) if row.staged => !matches!(rooms::discard(connection, &row.room)?, Outcome::More),
        Some(RoomRow { base: Some(base), .. }) => sweep::portion(connection, key, Some(base.seq))?,
        _ => true,
    };
    if is_last {
        Unfinished::Room(key).end(connection)?;
    }
    Ok(is_last)
}

/// Removes a few chunks, so that no transaction is large. Returns whether those were the last ones.
fn sweep_chunks(connection: &Connection, id: i64) -> Result<bool, Failed> {
    let chunks = "DELETE FROM chunks WHERE id IN (SELECT id FROM chunks WHERE snapshot = ?1 LIMIT 8)
         AND NOT EXISTS (SELECT 1 FROM snapshots WHERE id = ?1)";
    let is_last = connection.execute(chunks, [id])? == 0;
    if is_last {
        Unfinished::Chunks(id).end(connection)?;
    }
    Ok(is_last)
}

fn in_transaction<T>(connection: &Connection, act: impl FnOnce() -> Result<T, Failed>) -> Result<T, Failed> {
    let transaction = connection.unchecked_transaction()?;
    let done = act()?;
    transaction.commit()?;
    Ok(done)
}
