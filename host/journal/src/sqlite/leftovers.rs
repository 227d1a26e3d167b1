//! The remains of a crash, and their removal.

use std::path::Path;

use rusqlite::Connection;
use tracing::warn;

use super::outcome::Outcome;
use super::room_row::RoomRow;
use super::row::{Failed, is_damage};
use super::unfinished::Unfinished;
use super::{rooms, schema, sweep};
use crate::directory::OpenJournalError;

/// The remains of a crash: staged rooms, rows that a trim had not removed yet, and parts of snapshots.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    rooms: Vec<i64>,
    chunks: Vec<i64>,
}

impl Leftovers {
    /// Removes the remains, and returns those that are left: on a full disk nothing can be removed, but everything can be read.
    pub(super) fn remove_at_start(connection: &Connection, file: &Path) -> Result<Self, OpenJournalError> {
        let refuse = |error| schema::refusal(file, "the remains of a crash", &error);
        let mut leftovers = Self::find(connection).map_err(refuse)?;
        while !leftovers.is_empty() {
            match leftovers.remove_some(connection) {
                Ok(()) => {}
                Err(Failed::Refused(error)) => {
                    return Err(OpenJournalError::Storage { file: file.to_owned(), error: error.to_string() });
                }
                Err(Failed::Storage(error)) if is_damage(&error) => return Err(refuse(error)),
                Err(Failed::Storage(error)) => {
                    warn!(%error, "the remains of a crash cannot be removed yet; the next attempt follows once something was stored");
                    break;
                }
            }
        }
        Ok(leftovers)
    }

    /// Finds the remains. Call this before any new work begins.
    fn find(connection: &Connection) -> rusqlite::Result<Self> {
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
