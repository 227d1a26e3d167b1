//! Rows: their numbers and encoded values, the checksum that each carries, and what errors are told as.

use reapply_sync::Name;
use rusqlite::types::Type;
use rusqlite::{Connection, Error, ErrorCode, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::journal::JournalError;

/// Why an operation or a query did not give what it was asked for.
#[derive(Debug)]
pub(super) enum Failed {
    /// It cannot be done. Nothing has been changed.
    Refused(JournalError),
    /// The storage failed, or what it holds is damaged.
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

/// A row that is not as it was written.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub(super) struct RowDamage {
    pub(super) place: String,
    pub(super) what: String,
}

/// The error of a damaged row.
pub(super) fn damage(place: impl Into<String>, what: impl Into<String>) -> Error {
    let damage = RowDamage { place: place.into(), what: what.into() };
    Error::FromSqlConversionFailure(0, Type::Null, Box::new(damage))
}

/// The damage that `error` tells of, if it tells of a row's.
pub(super) fn row_damage(error: &Error) -> Option<&RowDamage> {
    match error {
        Error::FromSqlConversionFailure(_, _, cause) => cause.downcast_ref(),
        _ => None,
    }
}

/// Whether `error` says that what is stored is not what was written, rather than that reading or writing failed.
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

/// What a caller is told of `error`, with the database that it came from.
pub(super) fn journal_error(connection: &Connection, error: &Error) -> JournalError {
    let file = connection.path().unwrap_or_default();
    match row_damage(error) {
        Some(damage) => JournalError::Damaged(format!("{file}: {damage}")),
        None if is_damage(error) => JournalError::Damaged(format!("{file}: {}", one_line(error))),
        None => JournalError::Storage(format!("{file}: {}", one_line(error))),
    }
}

/// What SQLite says, in one line: it tells of tables, and quotes what defines them, in lines of their own.
pub(super) fn one_line(said: &impl ToString) -> String {
    said.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands in a row's column `checksum`, by which damage to its other columns is found.
pub(super) fn checksum(table: &str, columns: &impl Serialize) -> rusqlite::Result<i64> {
    encoded(&(table, columns)).map(|bytes| checksum_of(&bytes))
}

/// The checksum of columns that are encoded already.
pub(super) fn checksum_of(bytes: &[u8]) -> i64 {
    let mut sum = [0; 8];
    sum.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    i64::from_le_bytes(sum)
}

/// Compares a row's checksum with what it must be; `place` says which row it is.
pub(super) fn prove(
    row: &Row<'_>,
    column: usize,
    expected: i64,
    place: impl FnOnce() -> String,
) -> rusqlite::Result<()> {
    if row.get::<_, i64>(column)? == expected { Ok(()) } else { Err(damage(place(), "it does not match its checksum")) }
}

/// Says of an error that tells of damage which row it is.
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

/// The nearest of SQLite's integers: for what a machine or an operator chose, and where more is as good as the most.
pub(super) fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column's integer, which must not be negative.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|error| unreadable(column, Type::Integer, error))
}

/// A column's flag: 0 or 1.
pub(super) fn flag(row: &Row<'_>, column: usize) -> rusqlite::Result<bool> {
    match row.get(column)? {
        0_i64 => Ok(false),
        1 => Ok(true),
        other => Err(Error::IntegralValueOutOfRange(column, other)),
    }
}

/// A column's name.
pub(super) fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<Name> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error| unreadable(column, Type::Text, error))
}

/// A value as postcard.
pub(super) fn encoded(value: &impl Serialize) -> rusqlite::Result<Vec<u8>> {
    postcard::to_allocvec(value).map_err(|error| Error::ToSqlConversionFailure(error.into()))
}

/// A column's value, from postcard.
pub(super) fn decoded<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let bytes = row.get_ref(column)?.as_blob()?;
    postcard::from_bytes(bytes).map_err(|error| unreadable(column, Type::Blob, error))
}

fn unreadable(column: usize, kind: Type, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::FromSqlConversionFailure(column, kind, Box::new(error))
}
