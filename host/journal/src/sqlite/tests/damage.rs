//! Damage to the database file, and files that are not a journal of this version.

use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reapply_sync::room::Note;
use reapply_sync::{Author, Digest, Seq, Timestamp};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::crash::flip;
use super::{LogWriter, SqliteJournal, open, room_with};
use crate::sqlite::authors::{self, Segment};
use crate::sqlite::schema::{self, DATABASE_FILE};
use crate::sqlite::verify;
use crate::{Appended, Component, LostLog, NewRoom, OpenJournalError, Proving, RejectionCount, Retention};

/// The note of each room.
const NOTE: Note = Note { alarm: Some(Timestamp(77)), is_occupied: true };

const STATE: &[u8] = b"the state that a machine has made, and that nothing but its hash protects from damage";

/// Fills and closes a journal that holds some of everything, and returns pieces of the database's bytes that must not change.
async fn filled(directory: &Path) -> Vec<Vec<u8>> {
    let journal = open(directory);
    let mut pieces = Vec::new();
    for name in ["alpha", "beta", "gamma"] {
        let mut log = room_with(&journal, name, &[1, 40]).await;
        let is_kept = name != "gamma";
        pieces.push(postcard::to_allocvec(&log.genesis).unwrap());
        journal.put_snapshot(log.room(), log.snapshot(STATE)).await.unwrap();
        pieces.extend(is_kept.then(|| postcard::to_allocvec(&log.snapshot(b"")).unwrap()));
        pieces.push(STATE.to_vec());
        for _ in 0..6 {
            let record = log.next(2);
            pieces.extend([record.body.to_vec(), record.chain.0.to_vec()].into_iter().filter(|_| is_kept));
            assert_eq!(journal.append(&log.room().clone(), record, NOTE).await, Appended::Committed);
        }
        let author = Author(format!("{name}, who is rejected").into());
        pieces.push(author.0.as_bytes().to_vec());
        let count = RejectionCount { author, kind: "conflict".to_owned(), count: 3, last: Timestamp(4) };
        journal.count_rejections(log.room(), vec![count]).await.unwrap();
        journal.put_snapshot(log.room(), log.snapshot(STATE)).await.unwrap();
        let record = log.upgrade(Digest::of(b"another build"));
        assert_eq!(journal.append(log.room(), record, NOTE).await, Appended::Committed);
    }
    let trimmed = LogWriter::new("counter", "gamma");
    journal.trim(trimmed.room(), Seq(53)).await.unwrap();
    let staged = LogWriter::new("counter", "staged").genesis;
    pieces.push(postcard::to_allocvec(&staged).unwrap());
    journal.create_room(NewRoom { staged: true, ..NewRoom::of(staged) }).await.unwrap();
    let bytes = b"a component's bytes".as_slice();
    let component =
        Component { digest: Digest::of(bytes), bytes: bytes.into(), description: r#"{"name":"counter"}"#.to_owned() };
    pieces.push(bytes.to_vec());
    let (digest, name) = (component.digest, "counter".parse().unwrap());
    journal.put_component(component).await.unwrap();
    journal.set_current(&name, digest, Timestamp(5)).await.unwrap();
    let retention = Retention { snapshot_events: Some(1_000), snapshot_bytes: None, trim: true };
    journal.set_retention(&name, retention).await.unwrap();
    drop(journal);
    let connection = schema::open_writer(&directory.join(DATABASE_FILE)).unwrap();
    let authors = [0x0102_0304_0506_0708, 0x1112_1314_1516_1718_u64];
    pieces.push(authors.iter().flat_map(|author| author.to_le_bytes()).collect());
    authors::put(&connection, 1, &[Segment { number: 0, authors: authors.into() }]).unwrap();
    pieces
}

/// Proves a database as the start does.
/// Proves a database. Returns what the operator is told, if the index of authors is damaged.
fn verify(file: &Path) -> Result<Option<String>, OpenJournalError> {
    let connection = super::super::schema::open_writer(file)?;
    Ok(verify::verify(&connection, file)?.drop_from(&connection).unwrap())
}

/// The distance between the flips in one piece, in bytes.
const STEP: usize = 5;

/// The tables, with the columns that matter: all except for row numbers that nothing refers to.
const TABLES: [(&str, &str); 12] = [
    ("rooms", "id, machine, room, genesis, log, base, staged, checksum"),
    ("alarms", "room, due, checksum"),
    ("occupied", "room, checksum"),
    ("batches", "room, expected, last, time, batch, upgrade, chain, checksum, body"),
    ("snapshots", "id, room, seq, digest, hash, bytes, checksum, head"),
    ("chunks", "snapshot, number, bytes"),
    ("rejections", "room, author, kind, count, last, checksum"),
    ("components", "digest, checksum, description, browser_js, bytes"),
    ("authors", "room, segment, checksum, hashes"),
    ("machines", "name, digest, deployed, snapshot_events, snapshot_bytes, trim, checksum"),
    ("state", "open, records_last, records_removed, checksum"),
    ("totals", "name, rows, sum"),
];

/// Returns everything that is read from a database, as text.
fn contents(file: &Path) -> rusqlite::Result<String> {
    let connection = Connection::open(file)?;
    let mut contents = String::new();
    for (table, columns) in TABLES {
        let mut statement = connection.prepare(&format!("SELECT {columns} FROM {table} ORDER BY 1, 2"))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                contents += &format!("{:?} ", row.get_ref(column)?);
            }
        }
    }
    Ok(contents)
}

#[tokio::test]
async fn every_flipped_byte_of_a_record_a_snapshot_or_a_component_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let pieces = filled(directory.path()).await;
    let file = directory.path().join(DATABASE_FILE);
    let bytes = fs::read(&file).unwrap();
    let copy = directory.path().join("copy.db");
    fs::write(&copy, &bytes).unwrap();
    verify(&copy).unwrap();
    let whole = contents(&copy).unwrap();
    for piece in pieces {
        let places = bytes.windows(piece.len()).enumerate().filter(|(_, window)| *window == piece);
        let mut found_at = 0;
        for (start, _) in places {
            let found = (0..piece.len()).step_by(STEP).filter(|offset| {
                let mut bytes = bytes.clone();
                bytes[start + offset] ^= 0x10;
                fs::write(&copy, bytes).unwrap();
                is_found(&copy, &whole)
            });
            // A page may keep an unused copy of moved data: either all of the piece is read from there, or nothing.
            match found.count() {
                0 => {}
                count if count == piece.len().div_ceil(STEP) => found_at += 1,
                count => panic!("{count} flips of the {} bytes at {start} were found, not all", piece.len()),
            }
        }
        assert!(found_at > 0, "no flip in a piece of {} bytes was found", piece.len());
    }
}

/// Returns whether a damaged database is refused. If it is not, its contents must equal those of the intact one.
fn is_found(file: &Path, whole: &str) -> bool {
    match verify(file) {
        Ok(Some(_)) => true,
        Ok(None) => {
            assert_eq!(contents(file).unwrap(), whole, "damage that changes what is read was not found");
            false
        }
        Err(OpenJournalError::Damaged { place, what, .. }) => {
            assert!(is_named(&place), "{place}: {what}");
            true
        }
        Err(error) => panic!("{error}"),
    }
}

/// Returns whether a place says which row it is.
fn is_named(place: &str) -> bool {
    let names = [
        "room counter/",
        "record ",
        "snapshot ",
        "the alarm of room ",
        "the presence of room ",
        "the conflict rejections of ",
        "component ",
        "machine ",
        "its structure",
        "the table ",
        "the journal's state",
    ];
    names.iter().any(|name| place.starts_with(name))
}

/// Damage that leaves the database's structure and indexes intact. Only checksums and hashes can find it.
#[tokio::test]
async fn a_changed_value_in_any_column_is_found_and_its_row_named() {
    let mut rng = seeded();
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await;
    let journal = open(directory.path());
    let mut log = room_with(&journal, "large", &[3]).await;
    let state: Vec<u8> = (0..1_200_000_u32).map(|index| (index >> 7) as u8).collect();
    journal.put_snapshot(log.room(), log.snapshot(&state)).await.unwrap();
    assert_eq!(log.append(&journal, 2).await, Appended::Committed);
    drop(journal);
    let file = directory.path().join(DATABASE_FILE);
    let connection = super::super::schema::open_writer(&file).unwrap();
    verify::verify(&connection, &file).unwrap();
    for (table, columns) in TABLES {
        for column in columns.split(", ") {
            let mut tried = 0;
            for _ in 0..5 {
                connection.execute_batch("BEGIN").unwrap();
                if let Some(changed) = change_a_value(&connection, &mut rng, table, column) {
                    tried += 1;
                    let error = match verify::verify(&connection, &file) {
                        Err(error) => error,
                        Ok(derived) => {
                            assert!(table == "authors" && !derived.is_empty(), "{changed} was not found");
                            connection.execute_batch("ROLLBACK").unwrap();
                            continue;
                        }
                    };
                    let OpenJournalError::Damaged { place, what, .. } = &error else { panic!("{changed}: {error}") };
                    // A row whose name is damaged cannot be reported by its name.
                    let is_nameless = matches!(
                        (table, column),
                        ("rooms", "machine" | "room") | ("rejections", "author" | "kind") | ("machines", "name")
                    );
                    assert!(is_named(place) || is_nameless, "{changed}: {place}: {what}");
                }
                connection.execute_batch("ROLLBACK").unwrap();
            }
            assert!(tried > 0, "{table}.{column} was never changed");
        }
    }
}

/// Flips a bit of a random row's value, and returns a description of the change; `None` if the database has no such row, or refuses the change.
fn change_a_value(connection: &Connection, rng: &mut StdRng, table: &str, column: &str) -> Option<String> {
    let count: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    let offset = rng.random_range(0..count);
    let select = format!("SELECT {column} FROM {table} LIMIT 1 OFFSET {offset}");
    let value: Value = connection.query_row(&select, [], |row| row.get(0)).ok()?;
    let mut flipped = |bytes: &[u8]| {
        if bytes.is_empty() {
            return vec![1];
        }
        let mut bytes = bytes.to_vec();
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
        bytes
    };
    let (cast, changed) = match &value {
        Value::Null if column == "upgrade" || column == "base" => ("BLOB", Value::Blob(vec![1; 32])),
        Value::Null => ("INTEGER", Value::Integer(1)),
        Value::Integer(number) => ("INTEGER", Value::Integer(number ^ (1 << rng.random_range(0..64)))),
        Value::Text(text) => ("TEXT", Value::Blob(flipped(text.as_bytes()))),
        Value::Blob(bytes) => ("BLOB", Value::Blob(flipped(bytes))),
        Value::Real(number) => panic!("{table}.{column} is {number}"),
    };
    // Tables without row numbers are identified by their keys.
    let row = match table {
        "rejections" => "author",
        "totals" => "name",
        _ => "rowid",
    };
    let update = format!(
        "UPDATE {table} SET {column} = CAST(?1 AS {cast})
         WHERE {row} = (SELECT {row} FROM {table} LIMIT 1 OFFSET {offset})"
    );
    let count = connection.execute(&update, [&changed]).ok()?;
    assert_eq!(count, 1, "{update}");
    Some(format!("{table}.{column}, row {offset}"))
}

/// Checksums and chains cannot show that the last record of a log, a snapshot or a machine is missing.
#[tokio::test]
async fn an_absent_row_is_missed_in_every_table() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await;
    drop(open(directory.path()));
    let file = directory.path().join(DATABASE_FILE);
    let connection = super::super::schema::open_writer(&file).unwrap();
    // Authors are only an index: a segment without a row is read.
    for (table, _) in TABLES.into_iter().filter(|(table, _)| *table != "authors") {
        let count: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        for offset in 0..count {
            connection.execute_batch("BEGIN").unwrap();
            // Like damage: without the triggers that belong to a removal.
            let triggers = format!("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '{table}'");
            let mut statement = connection.prepare(&triggers).unwrap();
            let names: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
            names.iter().for_each(|name| connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
            let key = match table {
                "rejections" => "author",
                "totals" => "name",
                _ => "rowid",
            };
            let delete = format!(
                "DELETE FROM {table} WHERE {key} = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {offset})"
            );
            assert_eq!(connection.execute(&delete, []).unwrap(), 1);
            let error = verify::verify(&connection, &file).expect_err(&format!("{table}, row {offset}"));
            let OpenJournalError::Damaged { place, what, .. } = &error else { panic!("{table}: {error}") };
            assert!(is_named(place), "{table}, row {offset}: {place}: {what}");
            connection.execute_batch("ROLLBACK").unwrap();
        }
    }
    verify::verify(&connection, &file).unwrap();
}

fn seeded() -> StdRng {
    let seed: u64 = std::env::var("REAPPLY_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("REAPPLY_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_found_or_changes_nothing_of_a_log() {
    let mut rng = seeded();
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await;
    let file = directory.path().join(DATABASE_FILE);
    let bytes = fs::read(&file).unwrap();
    let copy = directory.path().join("copy.db");
    fs::write(&copy, &bytes).unwrap();
    let whole = contents(&copy).unwrap();
    for _ in 0..400 {
        let (at, bit) = (rng.random_range(0..bytes.len()), rng.random_range(0..8));
        fs::write(&copy, &bytes).unwrap();
        flip(&copy, at as u64, bit);
        if let Ok(None) = verify(&copy) {
            assert_eq!(contents(&copy).unwrap(), whole, "bit {bit} of byte {at} was not found");
        }
    }
}

#[test]
fn the_place_of_the_damage_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let body = runtime.block_on(async {
        let journal = open(directory.path());
        let mut log = room_with(&journal, "lobby", &[2]).await;
        let record = log.next(3);
        assert_eq!(journal.append(&log.room().clone(), record.clone(), Note::default()).await, Appended::Committed);
        record.body
    });
    let file = directory.path().join(DATABASE_FILE);
    let bytes = fs::read(&file).unwrap();
    let at = bytes.windows(body.len()).position(|window| window == body).unwrap();
    flip(&file, at as u64 + 2, 0);
    let error = SqliteJournal::open_with(directory.path(), LostLog::Refused, Proving::First).unwrap_err();
    assert!(matches!(&error, OpenJournalError::Damaged { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("journal.db is damaged at room counter/lobby, event "), "{text}");
}

#[test]
fn a_newer_or_a_much_older_format_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let file = directory.path().join(DATABASE_FILE);
    let set = |format: i64| Connection::open(&file).unwrap().pragma_update(None, "user_version", format).unwrap();
    set(7);
    let error = SqliteJournal::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenJournalError::NewerFormat { found: 7, known: 6, .. }), "{error}");
    assert!(error.to_string().contains("has the format 7"), "{error}");
    for older in [1, 2] {
        set(older);
        let error = SqliteJournal::open(directory.path()).unwrap_err();
        assert!(matches!(error, OpenJournalError::OlderFormat { known: 3, .. }), "{error}");
        let expected = format!("has the format {older}, and this version of Reapply reads from 3 on");
        assert!(error.to_string().contains(&expected), "{error}");
    }
    set(6);
    open(directory.path());
}

#[test]
fn a_file_that_is_no_journal_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(DATABASE_FILE);
    fs::write(&file, "some text that is no database at all".repeat(100)).unwrap();
    let error = SqliteJournal::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenJournalError::Damaged { .. }), "{error}");
    fs::remove_file(&file).unwrap();
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let error = SqliteJournal::open(directory.path()).unwrap_err();
    assert!(error.to_string().contains("not a journal of Reapply"), "{error}");
}
