//! The table `state`: the mark that the journal is open, and how many records there must be.
//!
//! While a host has the journal open, what it acknowledged last is in the write-ahead log alone. So the database file itself says that it
//! is open: whoever then finds it without its log knows that something is missing. The mark is in the file before the first
//! append is answered, and is taken back only when all of the log is moved into the file.

use rusqlite::config::DbConfig;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, Error, OptionalExtension, Row, params};

use super::row::{checksum, damage, flag, number, placed, prove, saturated};
use crate::crash;

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Whether a host has it open, or had when it ended.
    pub(super) is_open: bool,
    /// The number of the last record's row when it was closed.
    records_last: u64,
    /// How many numbers of records up to the last are not in use any more.
    records_removed: u64,
}

/// Writes the row of a database that had none.
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

/// Marks the journal as open, and does not come back before the database file itself says so.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<()> {
    write(connection, State { is_open: true, ..read(connection)? })?;
    crash::point("mark-half-set");
    let (frames, moved) = connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::FULL)?;
    if moved < frames {
        // A reader holds it back. It is tried again before the next append.
        return Err(Error::ToSqlConversionFailure("the mark that the journal is open is not in its file yet".into()));
    }
    Ok(())
}

/// Takes the mark back. The log must be moved into the file, or stay, before anyone else opens it.
pub(super) fn close(connection: &Connection) -> rusqlite::Result<()> {
    let state = read(connection)?;
    write(connection, State { is_open: false, records_last: last_record(connection)?, ..state })
}

/// Says whether the write-ahead log stays when the last connection is closed, and `connection` is that one. Otherwise the log is moved into the file.
pub(super) fn keep_log(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop)
}

/// Removes records by `delete`, which says how many, and notes that they are gone.
pub(super) fn removing(
    connection: &Connection,
    delete: impl FnOnce() -> rusqlite::Result<usize>,
) -> rusqlite::Result<()> {
    let state = read(connection)?;
    let last_before = last_record(connection)?;
    let removed = delete()? as u64;
    // The numbers after the last one are given out again.
    let last = last_record(connection)?;
    let records_removed = (state.records_removed + removed).saturating_sub(last_before - last);
    let records_last = if state.is_open { state.records_last } else { last };
    write(connection, State { records_last, records_removed, ..state })
}

/// A count of the records on its way, which shows whether one is missing.
#[derive(Debug)]
pub(super) struct RecordCount {
    /// Records up to this one are counted.
    after: i64,
    count: u64,
    /// How many had been removed when it began.
    removed_before: u64,
    /// Whether it is all as of one moment.
    is_one_moment: bool,
}

/// How a count has gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// Records of so many bytes are counted, and there are others.
    More(usize),
    /// None is missing.
    Whole,
    /// Records were removed meanwhile, so nothing can be said.
    Disturbed,
}

impl RecordCount {
    pub(super) fn begin(connection: &Connection, is_one_moment: bool) -> rusqlite::Result<Self> {
        Ok(Self { after: 0, count: 0, removed_before: read(connection)?.records_removed, is_one_moment })
    }

    /// Counts the next records, of some `bytes_max` bytes.
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
        // Numbers after the last one are given out again, so a count may be too high as well.
        let is_disturbed = state.records_removed != self.removed_before || count + state.records_removed > must;
        if is_disturbed && !self.is_one_moment {
            return Ok(Counted::Disturbed);
        }
        let expected = must.saturating_sub(state.records_removed);
        Err(damage("the table batches", format!("it holds {count} records where {expected} must be")))
    }
}

/// How this row is named.
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
