//! The table `state`: the mark that the journal is open, and the number of records that there must be.
//!
//! While a host has the journal open, the newest acknowledged events are only in the write-ahead log. So the database file itself says that it
//! is open: if the file is found without its log, something is missing. The mark is in the file before the first append is answered, and it is
//! removed only when all of the log was moved into the file.

use rusqlite::config::DbConfig;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, Error, OptionalExtension, Row, params};

use super::row::{checksum, damage, flag, number, placed, prove, saturated};
use crate::crash;

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Whether a host has the journal open, or crashed while it had.
    pub(super) is_open: bool,
    /// The number of the last record's row when the journal was closed.
    records_last: u64,
    /// The number of record numbers, up to the last, that are no longer in use.
    records_removed: u64,
}

/// Writes the first row of the table.
pub(super) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    let (count, last) = (count_records(connection)?, last_record(connection)?);
    write(connection, State { is_open: false, records_last: last, records_removed: last.saturating_sub(count) })
}

/// Reads the row, proved.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<State> {
    let sql = "SELECT open, records_last, records_removed, checksum FROM state WHERE id = 1";
    let found = connection.prepare_cached(sql)?.query_row([], read_row).optional()?;
    found.ok_or_else(|| damage(PLACE, "its row is missing"))
}

/// Marks the journal as open, and returns once the mark is in the database file itself.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<()> {
    write(connection, State { is_open: true, ..read(connection)? })?;
    crash::point("mark-half-set");
    let (frames, moved) = connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::FULL)?;
    if moved < frames {
        // A reader prevents that. The next attempt is made before the next append.
        return Err(Error::ToSqlConversionFailure("the mark that the journal is open is not in its file yet".into()));
    }
    Ok(())
}

/// Removes the mark. Before anyone else opens the file, the log must be moved into it, or must still be there.
pub(super) fn close(connection: &Connection) -> rusqlite::Result<()> {
    let state = read(connection)?;
    write(connection, State { is_open: false, records_last: last_record(connection)?, ..state })
}

/// Sets whether the write-ahead log stays when `connection`, the last one, is closed. Otherwise the log is moved into the file.
pub(super) fn keep_log(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop)
}

/// Removes records by `delete`, which returns their number, and notes that they are gone.
pub(super) fn removing(
    connection: &Connection,
    delete: impl FnOnce() -> rusqlite::Result<usize>,
) -> rusqlite::Result<()> {
    let state = read(connection)?;
    let last_before = last_record(connection)?;
    let removed = delete()? as u64;
    // Numbers after the last one are used again.
    let last = last_record(connection)?;
    let records_removed = (state.records_removed + removed).saturating_sub(last_before - last);
    let records_last = if state.is_open { state.records_last } else { last };
    write(connection, State { records_last, records_removed, ..state })
}

/// A count of the records in progress, which finds whether one is missing.
#[derive(Debug)]
pub(super) struct RecordCount {
    /// Records up to this one are counted.
    after: i64,
    count: u64,
    /// The number of records that had been removed when the count began.
    removed_before: u64,
    /// Whether all of the count is within one transaction.
    is_one_moment: bool,
}

/// The progress of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// Records of this many bytes were counted, and more are left.
    More(usize),
    /// All records were counted, and none is missing.
    Whole,
    /// Records were removed meanwhile, so the count is not conclusive.
    Disturbed,
}

impl RecordCount {
    pub(super) fn begin(connection: &Connection, is_one_moment: bool) -> rusqlite::Result<Self> {
        Ok(Self { after: 0, count: 0, removed_before: read(connection)?.records_removed, is_one_moment })
    }

    /// Counts the next records, of about `bytes_max` bytes.
    pub(super) fn go_on(&mut self, connection: &Connection, bytes_max: usize) -> rusqlite::Result<Counted> {
        let sql = "SELECT id, length(body) FROM batches NOT INDEXED WHERE id > ?1 ORDER BY id";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([self.after])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            (self.after, self.count) = (row.get(0)?, self.count + 1);
            bytes += usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
            if bytes >= bytes_max {
                return Ok(Counted::More(bytes));
            }
        }
        let (state, last, count) = (read(connection)?, last_record(connection)?, self.count);
        let must = if state.is_open { last } else { state.records_last };
        if last == must && count + state.records_removed == must && state.records_removed == self.removed_before {
            return Ok(Counted::Whole);
        }
        // Numbers after the last one are used again, so a count may also be too high.
        let is_disturbed = state.records_removed != self.removed_before || count + state.records_removed > must;
        if is_disturbed && !self.is_one_moment {
            return Ok(Counted::Disturbed);
        }
        let expected = must.saturating_sub(state.records_removed);
        Err(damage("the table batches", format!("it holds {count} records where {expected} must be")))
    }
}

/// The name of this row in messages.
const PLACE: &str = "the journal's state";

fn write(connection: &Connection, state: State) -> rusqlite::Result<()> {
    let State { is_open, records_last, records_removed } = state;
    connection
        .prepare_cached(
            "INSERT INTO state (id, open, records_last, records_removed, checksum) VALUES (1, ?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET open = excluded.open, records_last = excluded.records_last,
                 records_removed = excluded.records_removed, checksum = excluded.checksum",
        )?
        .execute(params![is_open, saturated(records_last), saturated(records_removed), state_checksum(state)?])?;
    Ok(())
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<State> {
    let place = || PLACE.to_owned();
    let read = || Ok(State { is_open: flag(row, 0)?, records_last: number(row, 1)?, records_removed: number(row, 2)? });
    let state = placed(read(), place)?;
    prove(row, 3, state_checksum(state)?, place)?;
    Ok(state)
}

fn state_checksum(State { is_open, records_last, records_removed }: State) -> rusqlite::Result<i64> {
    checksum("state", &(is_open, records_last, records_removed))
}

fn count_records(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM batches NOT INDEXED", [], |row| number(row, 0))
}

fn last_record(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT coalesce(max(id), 0) FROM batches")?.query_row([], |row| number(row, 0))
}
