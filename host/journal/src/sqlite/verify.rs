//! Proves that the stored data is the data that was written: all of it at once, or a room at a time.
//!
//! SQLite checks the file's structure and its indexes, and every row must match its checksum. Every record is decoded. The chain, followed link
//! by link from the beginning of the room's log, must equal the one that is stored with the record. Every snapshot and component must have its
//! hash. The work grows with the data. The memory does not, except for a few words for each room.

use std::collections::HashMap;
use std::path::Path;

use reapply_sync::{Batch, Chain, Digest, RoomId, Seq};
use rusqlite::{Connection, Row, params};

use super::authors::{self, Collector, DamagedRows, Segment};
use super::room_row::RoomRow;
use super::row::{Failed, damage, each_row, integer, number, one_line};
use super::{log, notes, rejections, schema, snapshots, tables};
use crate::directory::OpenJournalError;

/// Proves the whole database. Returns the damaged rows of the index of authors: it is derived, so the database is whole without them.
pub(super) fn verify(connection: &Connection, file: &Path) -> Result<DamagedRows, OpenJournalError> {
    let refuse = |place: &'static str| move |error: rusqlite::Error| schema::refusal(file, place, &error);
    structure(connection).map_err(refuse("its structure"))?;
    let mut rooms = rooms(connection).map_err(refuse("the table rooms"))?;
    batches(connection, &mut rooms).map_err(refuse("the table batches"))?;
    snapshots::prove_rows(connection).map_err(refuse("the table snapshots"))?;
    each_row(connection, "SELECT room, due, checksum FROM alarms", |row| notes::proved_alarm(row).map(drop))
        .map_err(refuse("the table alarms"))?;
    each_row(connection, "SELECT room, checksum FROM occupied", |row| notes::proved_occupied(row).map(drop))
        .map_err(refuse("the table occupied"))?;
    let sql = "SELECT author, kind, count, last, checksum, room FROM rejections";
    each_row(connection, sql, |row| rejections::read(row, row.get(5)?).map(drop))
        .map_err(refuse("the table rejections"))?;
    tables::prove(connection).map_err(refuse("its tables"))?;
    let room_of = |key| rooms.get(&key).map(|room| room.row.room.clone());
    DamagedRows::find(connection, room_of).map_err(refuse("the table authors"))
}

/// The progress of a room's proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Portion {
    /// This many more bytes were proved, and others are left.
    Proved(usize),
    /// This many more bytes were proved, and with them the whole room.
    Last(usize),
    /// The room does not exist.
    NoRoom,
}

/// A room that is being proved, a portion at a time. It may be used and trimmed meanwhile.
#[derive(Debug)]
pub(super) struct RoomProof {
    room: Room,
    /// The authors of the events that follow those proved so far.
    collector: Collector,
    /// The segments since the last portion whose row is missing or wrong.
    unnoted: Vec<Segment>,
}

impl RoomProof {
    /// Begins a proof. Returns `None` if there is no such room, or it is only staged.
    pub(super) fn begin(connection: &Connection, room: &RoomId) -> rusqlite::Result<Option<Self>> {
        let Some(row) = published(connection, room)? else { return Ok(None) };
        let (begins, _) = row.start();
        Ok(Some(Self { room: begin(connection, row)?, collector: Collector::after(begins), unnoted: Vec::new() }))
    }

    /// Returns the room's key, and the segments of the last portion whose row is missing or wrong.
    pub(super) fn take_unnoted(&mut self) -> (i64, Vec<Segment>) {
        (self.room.row.key, std::mem::take(&mut self.unnoted))
    }

    /// Proves the next records, of about `bytes_max` bytes.
    pub(super) fn go_on(&mut self, connection: &Connection, bytes_max: usize) -> rusqlite::Result<Portion> {
        let Some(row) = published(connection, &self.room.row.room)? else { return Ok(Portion::NoRoom) };
        if row.start() != self.room.row.start() {
            // The room was trimmed meanwhile.
            self.collector = Collector::after(row.start().0);
            self.room = begin(connection, row)?;
        }
        let (key, from) = (self.room.row.key, integer(self.room.head.0)?);
        let sql = format!("SELECT {} FROM batches WHERE room = ?1 AND expected >= ?2 ORDER BY expected", log::COLUMNS);
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![key, from])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            if let Some(batch) = batch(connection, &mut self.room, row)? {
                for segment in self.collector.add_all(&batch.body) {
                    if !authors::is_stored(connection, key, &segment)? {
                        self.unnoted.push(segment);
                    }
                }
            }
            bytes += row.get_ref(7)?.as_blob()?.len();
            if bytes >= bytes_max {
                return Ok(Portion::Proved(bytes));
            }
        }
        reaches_snapshots(&self.room)?;
        notes::of(connection, key)?;
        let sql = "SELECT author, kind, count, last, checksum FROM rejections WHERE room = ?1";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([key])?;
        while let Some(row) = rows.next()? {
            rejections::read(row, key)?;
        }
        Ok(Portion::Last(bytes))
    }
}

/// Returns the row of a room, unless it is staged.
fn published(connection: &Connection, room: &RoomId) -> rusqlite::Result<Option<RoomRow>> {
    match RoomRow::of(connection, room) {
        Ok(row) => Ok(Some(row).filter(|row| !row.staged)),
        Err(Failed::Refused(_)) => Ok(None),
        Err(Failed::Storage(error)) => Err(error),
    }
}

/// The state of a room's proof.
#[derive(Debug)]
struct Room {
    row: RoomRow,
    head: Seq,
    chain: Chain,
    digest: Digest,
    /// The seq of the room's first snapshot that is not proved yet.
    snapshot_next: Option<Seq>,
}

fn structure(connection: &Connection) -> rusqlite::Result<()> {
    let found = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))?;
    if found == "ok" { Ok(()) } else { Err(damage("its structure", one_line(&found))) }
}

fn rooms(connection: &Connection) -> rusqlite::Result<HashMap<i64, Room>> {
    let mut rooms = HashMap::new();
    RoomRow::each(connection, |row| {
        let (key, (head, chain)) = (row.key, row.start());
        if row.staged {
            // A staged room is about to be removed, and may be half removed already.
            rooms.insert(key, Room { digest: row.first_digest(), row, head, chain, snapshot_next: None });
            return Ok(());
        }
        rooms.insert(key, begin(connection, row)?);
        Ok(())
    })?;
    Ok(rooms)
}

/// Returns the state of a room's proof before its first record.
fn begin(connection: &Connection, row: RoomRow) -> rusqlite::Result<Room> {
    let (head, chain) = row.start();
    let snapshot_next = snapshot_from(connection, row.key, head)?;
    if row.base.is_some() && snapshot_next != Some(head) {
        return Err(damage(format!("room {}", row.room), format!("its log begins at {head}, without a snapshot")));
    }
    let digest = row.first_digest();
    let mut room = Room { row, head, chain, digest, snapshot_next };
    snapshots_within(connection, &mut room, |_| chain)?;
    Ok(room)
}

/// Proves that the log reaches its last snapshot.
fn reaches_snapshots(room: &Room) -> rusqlite::Result<()> {
    room.snapshot_next.map_or(Ok(()), |seq| {
        Err(damage(snapshot_place(&room.row.room, seq), format!("the log ends before it, at {}", room.head)))
    })
}

/// Reads the records in the order in which they were appended, so that the disk is read from start to end.
fn batches(connection: &Connection, rooms: &mut HashMap<i64, Room>) -> rusqlite::Result<()> {
    let sql = format!("SELECT {}, room, id FROM batches NOT INDEXED ORDER BY id", log::COLUMNS);
    each_row(connection, &sql, |row| {
        let key = row.get(8)?;
        let Some(room) = rooms.get_mut(&key) else {
            return Err(damage(format!("record {}", row.get::<_, i64>(9)?), "its room is missing"));
        };
        if room.row.staged { Ok(()) } else { batch(connection, room, row).map(drop) }
    })?;
    rooms.values().try_for_each(reaches_snapshots)
}

/// Proves the next record. Returns its batch, unless the log begins after it.
fn batch(connection: &Connection, room: &mut Room, row: &Row<'_>) -> rusqlite::Result<Option<Batch>> {
    let place = |seq: Seq| log::place(&room.row.room, seq);
    let record = log::record(row, room.row.key, || place(room.head.next()))?;
    if record.last <= room.row.start().0 {
        // A trim will remove this record, but has not done so yet.
        return Ok(None);
    }
    if record.expected != room.head {
        let (found, head) = (record.expected, room.head);
        let what = format!("a record that follows {found} stands where one that follows {head} must");
        return Err(damage(place(head.next()), what));
    }
    let before = room.chain;
    let batch: Batch = record.decode(before).map_err(|found| damage(place(found.seq), found.what))?;
    (room.head, room.chain) = (record.last, record.chain);
    room.digest = record.upgrade.unwrap_or(room.digest);
    let chain_at = |seq: Seq| log::chain_within(before, &batch.encoded, seq.0.saturating_sub(record.expected.0));
    snapshots_within(connection, room, chain_at)?;
    Ok(Some(batch))
}

/// Proves the room's snapshots up to its head.
fn snapshots_within(connection: &Connection, room: &mut Room, chain_at: impl Fn(Seq) -> Chain) -> rusqlite::Result<()> {
    let (key, id) = (room.row.key, &room.row.room);
    while let Some(seq) = room.snapshot_next.filter(|seq| *seq <= room.head) {
        let what = match snapshots::at(connection, key, id, seq)? {
            None => Some("it is missing"),
            Some(snapshot) if snapshot.seq != seq => Some("it has another seq"),
            Some(snapshot) if snapshot.chain != chain_at(seq) => Some("its chain is not the log's"),
            Some(snapshot) if snapshot.digest != room.digest => Some("its build is not the room's"),
            Some(_) => None,
        };
        if let Some(what) = what {
            return Err(damage(snapshot_place(id, seq), what));
        }
        room.snapshot_next = snapshot_from(connection, key, seq.next())?;
    }
    Ok(())
}

fn snapshot_from(connection: &Connection, key: i64, from: Seq) -> rusqlite::Result<Option<Seq>> {
    connection
        .prepare_cached("SELECT seq FROM snapshots WHERE room = ?1 AND seq >= ?2 ORDER BY seq LIMIT 1")?
        .query_and_then(params![key, integer(from.0)?], |row| number(row, 0).map(Seq))?
        .next()
        .transpose()
}

fn snapshot_place(room: &RoomId, seq: Seq) -> String {
    format!("room {room}, snapshot at {seq}")
}
