//! The table `rejections`: counts of rejected transitions, by author and kind.

use reapply_sync::{Author, RoomId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::outcome::Outcome;
use super::room_row::RoomRow;
use super::row::{Failed, checksum, integer, number, placed, prove, saturated};
use crate::RejectionCount;

/// The maximum number of counts of one room: authors times kinds. Anyone may come under many names.
pub(super) const REJECTION_COUNTS_MAX: usize = 1000;

/// Adds to a room's counts.
pub(super) fn count(connection: &Connection, room: &RoomId, counts: &[RejectionCount]) -> Result<Outcome, Failed> {
    let key = RoomRow::of(connection, room)?.key;
    for added in counts {
        let stored = connection
            .prepare_cached(
                "SELECT author, kind, count, last, checksum FROM rejections WHERE room = ?1 AND author = ?2 AND kind = ?3",
            )?
            .query_row(params![key, &*added.author.0, added.kind], |row| read(row, key))
            .optional()?;
        let sum = match stored {
            Some(stored) => RejectionCount {
                count: stored.count.saturating_add(added.count),
                last: stored.last.max(added.last),
                ..stored
            },
            None => added.clone(),
        };
        write(connection, key, &sum)?;
    }
    connection
        .prepare_cached(
            "DELETE FROM rejections WHERE room = ?1 AND (author, kind) IN
                 (SELECT author, kind FROM rejections WHERE room = ?1 ORDER BY last DESC, author, kind LIMIT -1 OFFSET ?2)",
        )?
        .execute(params![key, saturated(REJECTION_COUNTS_MAX as u64)])?;
    Ok(Outcome::Done)
}

/// Returns a room's counts, by author and kind.
pub(super) fn rejections(connection: &Connection, room: &RoomId) -> Result<Vec<RejectionCount>, Failed> {
    let key = RoomRow::of(connection, room)?.key;
    connection
        .prepare_cached(
            "SELECT author, kind, count, last, checksum FROM rejections WHERE room = ?1 ORDER BY author, kind",
        )?
        .query_and_then([key], |row| Ok(read(row, key)?))?
        .collect()
}

/// Returns a count from a row of `author, kind, count, last, checksum`, proved.
pub(super) fn read(row: &Row<'_>, key: i64) -> rusqlite::Result<RejectionCount> {
    let (author, kind): (String, String) = (row.get(0)?, row.get(1)?);
    let place = || format!("the {kind} rejections of {author} in room {key}");
    let (count, last) = (placed(number(row, 2), place)?, placed(number(row, 3), place)?);
    let count =
        RejectionCount { author: Author(author.as_str().into()), kind: kind.clone(), count, last: Timestamp(last) };
    prove(row, 4, count_checksum(key, &count)?, place)?;
    Ok(count)
}

fn write(connection: &Connection, key: i64, count: &RejectionCount) -> rusqlite::Result<()> {
    let count = RejectionCount { count: saturated(count.count).cast_unsigned(), ..count.clone() };
    connection
        .prepare_cached(
            "INSERT INTO rejections (room, author, kind, count, last, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET count = excluded.count, last = excluded.last, checksum = excluded.checksum",
        )?
        .execute(params![
            key,
            &*count.author.0,
            count.kind,
            integer(count.count)?,
            integer(count.last.0)?,
            count_checksum(key, &count)?
        ])?;
    Ok(())
}

fn count_checksum(key: i64, count: &RejectionCount) -> rusqlite::Result<i64> {
    checksum("rejections", &(key, &count.author, &count.kind, count.count, count.last))
}
