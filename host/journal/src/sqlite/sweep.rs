//! Removes rows that no longer belong to any log, a portion at a time, so that no room's records wait for long.

use reapply_sync::Seq;
use rusqlite::{Connection, params};

use super::rooms::{self, RoomRow};
use super::row::{Failed, saturated};
use super::store::Outcome;
use super::{authors, mark};

/// The maximum number of rows of a table that one transaction removes.
const ROWS_MAX: usize = 500;

/// The number of bytes after which no further row is removed in the same transaction.
const BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Removes the records and snapshots before `before` of the room with this key, or all of them: as many as one transaction may. Returns
/// whether those were the last ones.
pub(super) fn portion(connection: &Connection, key: i64, before: Option<Seq>) -> rusqlite::Result<bool> {
    let before = before.map_or(i64::MAX, |before| saturated(before.0));
    let records = "SELECT expected, length(body) FROM batches WHERE room = ?1 AND expected < ?2 ORDER BY expected";
    if let Some(last) = cut(connection, records, key, before)? {
        let mut delete = connection.prepare_cached("DELETE FROM batches WHERE room = ?1 AND expected <= ?2")?;
        mark::removing(connection, || delete.execute(params![key, last]))?;
        return Ok(false);
    }
    let snapshots = "SELECT seq, bytes FROM snapshots WHERE room = ?1 AND seq < ?2 ORDER BY seq";
    if let Some(last) = cut(connection, snapshots, key, before)? {
        connection
            .prepare_cached(
                "DELETE FROM chunks WHERE snapshot IN (SELECT id FROM snapshots WHERE room = ?1 AND seq <= ?2)",
            )?
            .execute(params![key, last])?;
        connection
            .prepare_cached("DELETE FROM snapshots WHERE room = ?1 AND seq <= ?2")?
            .execute(params![key, last])?;
        return Ok(false);
    }
    authors::remove_some(connection, key, before)
}

/// Work that a crash may leave half done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unfinished {
    /// The room with this key is staged, or being trimmed.
    Room(i64),
    /// The chunks under this number are not a snapshot yet.
    Chunks(i64),
}

impl Unfinished {
    /// Notes that the work has begun.
    pub(super) fn begin(self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT INTO unfinished (what, id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        connection.prepare_cached(sql)?.execute(params![self.name(), self.id()])?;
        Ok(())
    }

    /// Notes that the work is done, or undone.
    pub(super) fn end(self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "DELETE FROM unfinished WHERE what = ?1 AND id = ?2";
        connection.prepare_cached(sql)?.execute(params![self.name(), self.id()])?;
        Ok(())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Room(_) => "room",
            Self::Chunks(_) => "chunks",
        }
    }

    fn id(self) -> i64 {
        let (Self::Room(id) | Self::Chunks(id)) = self;
        id
    }
}

/// The remains of a crash: staged rooms, rows that a trim had not removed yet, and parts of snapshots.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    rooms: Vec<i64>,
    chunks: Vec<i64>,
}

impl Leftovers {
    /// Finds the remains. Call this before any new work begins.
    pub(super) fn find(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self { rooms: noted(connection, "room")?, chunks: noted(connection, "chunks")? })
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

fn noted(connection: &Connection, what: &str) -> rusqlite::Result<Vec<i64>> {
    connection.prepare("SELECT id FROM unfinished WHERE what = ?1")?.query_map([what], |row| row.get(0))?.collect()
}

/// Removes a portion of the remains of a room. Returns whether that was the last one.
fn sweep_room(connection: &Connection, key: i64) -> Result<bool, Failed> {
    let is_last = match RoomRow::at(connection, key)? {
        Some(row) if row.staged => !matches!(rooms::discard(connection, &row.room)?, Outcome::More),
        Some(RoomRow { base: Some(base), .. }) => portion(connection, key, Some(base.seq))?,
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

/// Returns the last row that one transaction removes, of the rows that `sql` returns with their sizes.
fn cut(connection: &Connection, sql: &str, key: i64, before: i64) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![key, before])?;
    let (mut last, mut bytes) = (None, 0_u64);
    for _ in 0..ROWS_MAX {
        let Some(row) = rows.next()?.filter(|_| bytes < BYTES_MAX) else { break };
        last = Some(row.get(0)?);
        bytes = bytes.saturating_add(row.get::<_, i64>(1)?.unsigned_abs());
    }
    Ok(last)
}

fn in_transaction<T>(connection: &Connection, act: impl FnOnce() -> Result<T, Failed>) -> Result<T, Failed> {
    let transaction = connection.unchecked_transaction()?;
    let done = act()?;
    transaction.commit()?;
    Ok(done)
}
