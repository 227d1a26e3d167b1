//! The formats of the database file, and the migration from each to the next.
//!
//! Records are kept in append order, so that a commit of many rooms' records writes few pages. `UNIQUE (room, expected)` finds a room's
//! records, and refuses the record of an owner who does not know the head. Each row's `checksum` covers all its other columns, except
//! for those that have a hash of their own: the chain proves a record's body, `hash` a state, and the digest a component.

use rusqlite::Connection;

use super::{mark, notes};

/// Brings a database from one format to the next.
pub(super) type Migration = fn(&Connection) -> rusqlite::Result<()>;

/// The migration from each format to the next. The first one turns an empty file into format 1.
pub(super) const MIGRATIONS: [Migration; 6] = [format_1, format_2, format_3, format_4, format_5, format_6];

/// The newest format that is no longer read: clients' ids have 64 bits in its records.
pub(super) const FORMAT_GONE: i64 = 2;

/// The format that this version writes, and the newest that it reads. The file's `user_version` holds it.
pub(super) const FORMAT: i64 = MIGRATIONS.len() as i64;

/// The tables whose rows `totals` counts. Records are counted by `state` instead, since a total of them would cost every
/// commit a page.
pub(super) const COUNTED: [&str; 7] =
    ["rooms", "alarms", "snapshots", "rejections", "components", "machines", "occupied"];

/// The number of these tables in format 2.
const COUNTED_FORMAT_2: usize = 6;

/// The bits of a checksum that a total adds up. They are few enough that no total overflows.
pub(super) const SUMMED_BITS: i64 = 0xffff_ffff;

const FORMAT_1: &str = "
    CREATE TABLE rooms (
        id INTEGER PRIMARY KEY,
        machine TEXT NOT NULL,
        room TEXT NOT NULL,
        genesis BLOB NOT NULL,
        log BLOB NOT NULL,
        base BLOB,
        staged INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        UNIQUE (machine, room)
    ) STRICT;
    CREATE TABLE alarms (
        room INTEGER PRIMARY KEY,
        due INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX alarms_due ON alarms (due, room);
    CREATE TABLE batches (
        id INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        expected INTEGER NOT NULL,
        last INTEGER NOT NULL,
        time INTEGER NOT NULL,
        batch INTEGER NOT NULL,
        upgrade BLOB,
        chain BLOB NOT NULL,
        checksum INTEGER NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (room, expected)
    ) STRICT;
    CREATE INDEX upgrades ON batches (room, expected) WHERE upgrade IS NOT NULL;
    CREATE TABLE snapshots (
        id INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        digest BLOB NOT NULL,
        hash BLOB NOT NULL,
        bytes INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        head BLOB NOT NULL,
        UNIQUE (room, seq)
    ) STRICT;
    CREATE TABLE chunks (
        id INTEGER PRIMARY KEY,
        snapshot INTEGER NOT NULL,
        number INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        UNIQUE (snapshot, number)
    ) STRICT;
    CREATE TABLE rejections (
        room INTEGER NOT NULL,
        author TEXT NOT NULL,
        kind TEXT NOT NULL,
        count INTEGER NOT NULL,
        last INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (room, author, kind)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE components (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        checksum INTEGER NOT NULL,
        description TEXT NOT NULL,
        browser_js TEXT NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE machines (
        name TEXT PRIMARY KEY,
        digest BLOB NOT NULL,
        deployed INTEGER NOT NULL,
        snapshot_events INTEGER,
        snapshot_bytes INTEGER,
        trim INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT;
";

/// `state` has one row: whether the journal is open, and the number of records that there must be. `totals` has the number of rows of the other
/// tables, and the sum of their checksums, so that a missing or outdated row is noticed.
const FORMAT_2: &str = "
    CREATE TABLE state (
        id INTEGER PRIMARY KEY,
        open INTEGER NOT NULL,
        records_last INTEGER NOT NULL,
        records_removed INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE totals (
        name TEXT PRIMARY KEY,
        rows INTEGER NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// `unfinished` lists the work that a crash may leave half done, so that the start finds it without searching every room.
const FORMAT_4: &str = "
    CREATE TABLE unfinished (
        what TEXT NOT NULL,
        id INTEGER NOT NULL,
        PRIMARY KEY (what, id)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO unfinished SELECT 'room', id FROM rooms WHERE staged <> 0 OR base IS NOT NULL;
    INSERT INTO unfinished SELECT DISTINCT 'chunks', snapshot FROM chunks WHERE snapshot NOT IN (SELECT id FROM snapshots);
";

/// `occupied` names the rooms where somebody may be present.
const FORMAT_5: &str = "
    CREATE TABLE occupied (
        room INTEGER PRIMARY KEY,
        checksum INTEGER NOT NULL
    ) STRICT;
";

/// `authors` lists the authors of events in each segment of a log. A missing row only costs time.
const FORMAT_6: &str = "
    CREATE TABLE authors (
        id INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        segment INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        hashes BLOB NOT NULL,
        UNIQUE (room, segment)
    ) STRICT;
";

fn format_1(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(FORMAT_1)
}

fn format_2(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(FORMAT_2)?;
    mark::begin(connection)?;
    COUNTED[..COUNTED_FORMAT_2].iter().try_for_each(|table| connection.execute_batch(&total(table)))
}

/// Format 3 has the tables of format 2. Only the encoding of their rows differs.
fn format_3(_connection: &Connection) -> rusqlite::Result<()> {
    Ok(())
}

fn format_4(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(FORMAT_4)
}

fn format_5(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(FORMAT_5)?;
    notes::begin_occupied(connection)?;
    COUNTED[COUNTED_FORMAT_2..].iter().try_for_each(|table| connection.execute_batch(&total(table)))
}

fn format_6(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(FORMAT_6)
}

/// Returns the statements that begin a table's total, and the triggers that update it.
fn total(table: &str) -> String {
    let (new, old) = (format!("(NEW.checksum & {SUMMED_BITS})"), format!("(OLD.checksum & {SUMMED_BITS})"));
    let trigger = |name: &str, when: &str, set: String| {
        format!(
            "CREATE TRIGGER {table}_{name} AFTER {when} ON {table} BEGIN
                 UPDATE totals SET {set} WHERE name = '{table}';
             END;\n"
        )
    };
    let begin = format!(
        "INSERT INTO totals SELECT '{table}', count(*), coalesce(sum(checksum & {SUMMED_BITS}), 0) FROM {table};\n"
    );
    let added = trigger("added", "INSERT", format!("rows = rows + 1, sum = sum + {new}"));
    let removed = trigger("removed", "DELETE", format!("rows = rows - 1, sum = sum - {old}"));
    let changed = trigger("changed", "UPDATE OF checksum", format!("sum = sum + {new} - {old}"));
    [begin, added, removed, changed].concat()
}
