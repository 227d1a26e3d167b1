//! The database file: its format, and how connections to it are opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::formats::{self, FORMAT, FORMAT_GONE, Migration};
use super::row::{RowDamage, is_damage, one_line, row_damage};
use super::wal::{FRAME_HEADER_BYTES, LAID_OUT_FRAMES};
use crate::directory::OpenJournalError;

/// The name of the database in the data directory. SQLite keeps its log and index in `journal.db-wal` and `journal.db-shm` beside it.
pub const DATABASE_FILE: &str = "journal.db";

/// The name of the database's write-ahead log.
pub const WAL_FILE: &str = "journal.db-wal";

/// The number of bytes of a page. A commit writes at least two: one with records, one of their index.
pub(super) const PAGE_BYTES: u64 = 4096;

/// The application id that marks the file as ours: "Rply".
const APPLICATION_ID: i64 = 0x5270_6c79;

/// The maximum time that a connection waits for a lock. Only another program that has the file open can make it wait.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The KiB of pages that each connection keeps in memory. Negative, which tells SQLite that the unit is KiB.
const CACHE_KIB: i64 = -8192;

/// The maximum number of prepared statements of each connection: more than there are.
const STATEMENTS_CACHED: usize = 64;

/// Opens the only connection that writes, and migrates the file to [`FORMAT`].
pub(super) fn open_writer(file: &Path) -> Result<Connection, OpenJournalError> {
    let (connection, found) = open_as_it_is(file)?;
    migrate(&connection, file, found)?;
    Ok(connection)
}

/// Opens a connection that writes, without a migration. Returns the file's format too, which is 0 if the file is empty.
pub(super) fn open_as_it_is(file: &Path) -> Result<(Connection, i64), OpenJournalError> {
    let place = "its header";
    let connection = Connection::open(file).map_err(|error| refusal(file, place, &error))?;
    let found =
        prepare(&connection).and_then(|()| read_format(&connection)).map_err(|error| refusal(file, place, &error))?;
    let Some(found) = found else {
        let what = "it is not a journal of Reapply".to_owned();
        return Err(OpenJournalError::Damaged { file: file.to_owned(), place: place.to_owned(), what });
    };
    if (1..=FORMAT_GONE).contains(&found) {
        return Err(OpenJournalError::OlderFormat { file: file.to_owned(), found, known: FORMAT_GONE + 1 });
    }
    if found > FORMAT {
        return Err(OpenJournalError::NewerFormat { file: file.to_owned(), found, known: FORMAT });
    }
    settle(&connection).map_err(|error| refusal(file, place, &error))?;
    Ok((connection, found))
}

/// Migrates a file from the format `found` to [`FORMAT`].
pub(super) fn migrate(connection: &Connection, file: &Path, found: i64) -> Result<(), OpenJournalError> {
    let steps = usize::try_from(found).ok().and_then(|found| formats::MIGRATIONS.get(found..)).unwrap_or_default();
    take(connection, steps).map_err(|error| refusal(file, "its format", &error))
}

/// Opens a connection that only reads.
pub(super) fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    prepare(&connection)?;
    Ok(connection)
}

/// Opens a connection for checkpoints.
pub(super) fn open_checkpointer(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    prepare(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Returns the error of opening the journal for an error of SQLite.
pub(super) fn refusal(file: &Path, place: &str, error: &rusqlite::Error) -> OpenJournalError {
    let file = file.to_owned();
    match row_damage(error) {
        Some(RowDamage { place, what }) => OpenJournalError::Damaged { file, place: place.clone(), what: what.clone() },
        None if is_damage(error) => OpenJournalError::Damaged { file, place: place.to_owned(), what: one_line(error) },
        None => OpenJournalError::Storage { file, error: one_line(error) },
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(LOCK_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "cell_size_check", true)
}

/// Sets up durability: a commit returns after its one fdatasync of the log.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE_BYTES as i64)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // A log that had to grow is cut when it restarts. The part that was laid out beforehand stays.
    let log_bytes = (LAID_OUT_FRAMES * (PAGE_BYTES + FRAME_HEADER_BYTES as u64)) as i64;
    connection.pragma_update_and_check(None, "journal_size_limit", log_bytes, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")
}

/// Returns the file's format: 0 if it is empty, `None` if another program wrote it.
fn read_format(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let format = number("PRAGMA user_version")?;
    let is_empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    let is_ours = number("PRAGMA application_id")? == APPLICATION_ID && format > 0;
    Ok((is_ours || (is_empty && format == 0)).then_some(format))
}

fn take(connection: &Connection, steps: &[Migration]) -> rusqlite::Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    steps.iter().try_for_each(|step| step(&transaction))?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}
