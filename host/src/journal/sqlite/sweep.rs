//! Removing what no longer belongs to any log, a portion at a time, so that no room's records wait for long.

use reapply_sync::Seq;
use rusqlite::{Connection, params};

use super::mark;
use super::rooms::{self, RoomRow};
use super::row::{Failed, saturated};
use super::store::Outcome;

/// Rows of a table that one transaction removes at most.
const ROWS_MAX: usize = 500;

/// Bytes after which no further row is removed in the same transaction.
const BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Removes the records and snapshots before `before` of the room with this key, or all of them: as many as one transaction may. Says
/// whether that was the last of them.
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
    Ok(true)
}

/// Removes all that a crash has left: staged rooms, what a trim had not come to, and parts of snapshots.
pub(super) fn all(connection: &Connection) -> Result<(), Failed> {
    let mut rooms = Vec::new();
    RoomRow::each(connection, |row| {
        if row.staged || row.base.is_some() {
            rooms.push(row);
        }
        Ok(())
    })?;
    for row in rooms {
        if row.staged {
            while matches!(in_transaction(connection, || rooms::discard(connection, &row.room))?, Outcome::More) {}
        } else {
            let before = row.base.map(|base| base.seq);
            while !in_transaction(connection, || Ok(portion(connection, row.key, before)?))? {}
        }
    }
    let chunks = "DELETE FROM chunks WHERE id IN
        (SELECT id FROM chunks WHERE snapshot NOT IN (SELECT id FROM snapshots) LIMIT 8)";
    while connection.execute(chunks, [])? > 0 {}
    Ok(())
}

/// The last of the rows that one transaction removes, out of those that `sql` gives with their sizes.
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
