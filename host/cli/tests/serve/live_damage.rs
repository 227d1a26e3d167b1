//! Damage to a journal while its host serves: `reapply verify ROOM` finds it and names it.

use rand::RngExt;
use rand::rngs::StdRng;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode};

use crate::counter_host;
use crate::exports::{fails, flips, long_room, random, succeeds};

/// The number of bits that are flipped, one after the other: twice each column.
const FLIPS: usize = 2 * COLUMNS.len();

/// The stored columns of records and snapshots, except for the keys that join their tables.
const COLUMNS: [(&str, &str); 13] = [
    ("batches", "body"),
    ("batches", "expected"),
    ("batches", "last"),
    ("batches", "time"),
    ("batches", "batch"),
    ("batches", "chain"),
    ("batches", "checksum"),
    ("snapshots", "seq"),
    ("snapshots", "digest"),
    ("snapshots", "hash"),
    ("snapshots", "head"),
    ("snapshots", "checksum"),
    ("chunks", "bytes"),
];

#[test]
fn a_flipped_byte_of_a_record_or_a_snapshot_is_found_and_named_while_the_host_serves() {
    let host = counter_host(&[]);
    long_room(&host, "counter/lobby");
    succeeds(&host.command("verify", &["counter/lobby"]));
    let database = Connection::open(host.data().join("journal.db")).unwrap();
    let mut random = random();
    for round in 0..flips(FLIPS) {
        let (table, column) = COLUMNS[round % COLUMNS.len()];
        let ids = query(&database, &format!("SELECT id FROM {table} ORDER BY id"));
        let id = ids[random.random_range(0..ids.len())];
        let mut called = names(&database, table, id);
        let before = value(&database, table, column, id);
        let after = loop {
            let after = flipped(&before, &mut random);
            // The database itself refuses a duplicate place.
            if set(&database, table, column, id, &after) {
                break after;
            }
        };
        if ["seq", "expected"].contains(&column) {
            // The damaged column is the name itself: the row has the new name, or is where another must be.
            called.extend(names(&database, table, id));
            called.push(format!("a record that follows {} stands where", integer(&after)));
        }
        let said = fails(&host.command("verify", &["counter/lobby"]));
        assert!(set(&database, table, column, id, &before));
        let place = format!("{table}.{column} of {id}, {before:?} -> {after:?}");
        assert!(called.iter().any(|name| said.contains(name)), "{place}: {said}");
    }
    succeeds(&host.command("verify", &["counter/lobby"]));
}

/// Returns the possible names of a row in an error: a record by one of its events, or by the one before it.
fn names(database: &Connection, table: &str, id: i64) -> Vec<String> {
    match table {
        "batches" => {
            let [expected, last] = ["expected", "last"].map(|column| integer(&value(database, table, column, id)));
            (expected..=last.max(expected + 1)).map(|seq| format!("event {seq}")).collect()
        }
        "snapshots" => vec![format!("snapshot at {}", integer(&value(database, table, "seq", id)))],
        _ => {
            let snapshot = integer(&value(database, table, "snapshot", id));
            names(database, "snapshots", snapshot.cast_signed())
        }
    }
}

/// Returns the value with one bit changed.
fn flipped(value: &Value, random: &mut StdRng) -> Value {
    match value {
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            let place = random.random_range(0..bytes.len());
            bytes[place] ^= 1 << random.random_range(0..8);
            Value::Blob(bytes)
        }
        // The sign is not flipped: only checksums are ever negative.
        Value::Integer(number) => Value::Integer(number ^ (1 << random.random_range(0..40))),
        other => panic!("{other:?} has no bytes"),
    }
}

fn value(database: &Connection, table: &str, column: &str, id: i64) -> Value {
    let sql = format!("SELECT {column} FROM {table} WHERE id = ?1");
    database.query_row(&sql, [id], |row| row.get(0)).unwrap()
}

/// Sets a value, unless a constraint of the table prevents it.
fn set(database: &Connection, table: &str, column: &str, id: i64, value: &Value) -> bool {
    let sql = format!("UPDATE {table} SET {column} = ?2 WHERE id = ?1");
    match database.execute(&sql, rusqlite::params![id, value]) {
        Ok(count) => count == 1,
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => false,
        Err(error) => panic!("{sql}: {error}"),
    }
}

fn query(database: &Connection, sql: &str) -> Vec<i64> {
    let mut statement = database.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn integer(value: &Value) -> u64 {
    match value {
        Value::Integer(number) => number.cast_unsigned(),
        other => panic!("{other:?} is not a number"),
    }
}
