//! Removes rows that no longer belong to any log, a portion at a time, so that no room's records wait for long.

use reapply_sync::Seq;
use rusqlite::{Connection, params};

use super::row::saturated;
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
