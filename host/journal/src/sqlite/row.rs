//! Rows: their numbers and encoded values, their checksums, and the errors for them.

use reapply_sync::Name;
use rusqlite::types::Type;
use rusqlite::{Connection, Error, ErrorCode, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::JournalError;

/// The reasons why an operation or a query failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The operation is not possible. Nothing has been changed.
    Refused(JournalError),
    /// The storage failed, or is damaged.
    Storage(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Storage(error)
    }
}

impl From<JournalError> for Failed {
    fn from(error: JournalError) -> Self {
        Self::Refused(error)
    }
}

/// A damaged row.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub(super) struct RowDamage {
    pub(super) place: String,
    pub(super) what: String,
}

/// Creates the error of a damaged row.
pub(super) fn damage(place: impl Into<String>, what: impl Into<String>) -> Error {
    let damage = RowDamage { place: place.into(), what: what.into() };
    Error::FromSqlConversionFailure(0, Type::Null, Box::new(damage))
}

/// Returns the damage in `error`, if it is about a row.
pub(super) fn row_damage(error: &Error) -> Option<&RowDamage> {
    match error {
        Error::FromSqlConversionFailure(_, _, cause) => cause.downcast_ref(),
        _ => None,
    }
}

/// Returns whether `error` means damaged data, rather than a failure of reading or writing.
pub(super) fn is_damage(error: &Error) -> bool {
    match error {
        Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => true,
        _ => false,
    }
}

/// Returns the caller's error for `error`, with the database that it came from.
pub(super) fn journal_error(connection: &Connection, error: &Error) -> JournalError {
    let file = connection.path().unwrap_or_default();
    match row_damage(error) {
        Some(damage) => JournalError::Damaged(format!("{file}: {damage}")),
        None if is_damage(error) => JournalError::Damaged(format!("{file}: {}", one_line(error))),
        None => JournalError::Storage(format!("{file}: {}", one_line(error))),
    }
}

/// Returns SQLite's message in one line: it names tables, and quotes their definitions over several lines.
pub(super) fn one_line(said: &impl ToString) -> String {
    said.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Calls `check` with each row of a query.
pub(super) fn each_row(
    connection: &Connection,
    sql: &str,
    mut check: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        check(row)?;
    }
    Ok(())
}

/// Returns the value for a row's column `checksum`, which reveals damage to its other columns.
pub(super) fn checksum(table: &str, columns: &impl Serialize) -> rusqlite::Result<i64> {
    encoded(&(table, columns)).map(|bytes| checksum_of(&bytes))
}

/// Returns the checksum of columns that are already encoded.
pub(super) fn checksum_of(bytes: &[u8]) -> i64 {
    let mut sum = [0; 8];
    sum.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    i64::from_le_bytes(sum)
}

/// Compares a row's checksum with the expected one; `place` says which row it is.
pub(super) fn prove(
    row: &Row<'_>,
    column: usize,
    expected: i64,
    place: impl FnOnce() -> String,
) -> rusqlite::Result<()> {
    if row.get::<_, i64>(column)? == expected { Ok(()) } else { Err(damage(place(), "it does not match its checksum")) }
}

/// Adds the row's place to an error about damage.
pub(super) fn placed<T>(read: rusqlite::Result<T>, place: impl FnOnce() -> String) -> rusqlite::Result<T> {
    read.map_err(|error| match row_damage(&error) {
        None if is_damage(&error) => damage(place(), error.to_string()),
        _ => error,
    })
}

/// SQLite's integers are signed.
pub(super) fn integer(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| Error::ToSqlConversionFailure(error.into()))
}

/// Returns the nearest of SQLite's integers, for values of a machine or an operator where larger ones mean the same as the largest.
pub(super) fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns a column's integer, which must not be negative.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|error| unreadable(column, Type::Integer, error))
}

/// Returns a column's flag: 0 or 1.
pub(super) fn flag(row: &Row<'_>, column: usize) -> rusqlite::Result<bool> {
    match row.get(column)? {
        0_i64 => Ok(false),
        1 => Ok(true),
        other => Err(Error::IntegralValueOutOfRange(column, other)),
    }
}

/// Returns a column's name.
pub(super) fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<Name> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error| unreadable(column, Type::Text, error))
}

/// Returns a value as postcard.
pub(super) fn encoded(value: &impl Serialize) -> rusqlite::Result<Vec<u8>> {
    postcard::to_allocvec(value).map_err(|error| Error::ToSqlConversionFailure(error.into()))
}

/// Returns a column's value, from postcard.
pub(super) fn decoded<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let bytes = row.get_ref(column)?.as_blob()?;
    postcard::from_bytes(bytes).map_err(|error| unreadable(column, Type::Blob, error))
}

fn unreadable(column: usize, kind: Type, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::FromSqlConversionFailure(column, kind, Box::new(error))
}
