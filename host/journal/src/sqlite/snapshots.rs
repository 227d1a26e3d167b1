//! The tables `snapshots` and `chunks`: a snapshot's row, and its state in pieces.
//!
//! A large state is written over several transactions, so that other records do not wait for the whole of it. Its chunks are stored under a
//! number that is drawn for this one attempt. They mean nothing until the last transaction writes the row with that number.

use std::fmt::Display;

use bytes::Bytes;
use reapply_sync::{Chain, Digest, RoomId, Seq, Snapshot};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::log;
use super::outcome::Outcome;
use super::room_row::RoomRow;
use super::row::{Failed, checksum, damage, decoded, encoded, integer, name, number, placed, prove, saturated};
use super::unfinished::Unfinished;
use crate::crash;
use crate::{JournalError, OpeningBytes, SnapshotRecord};

/// The number of bytes of a state that one transaction writes.
pub(super) const CHUNK_BYTES: usize = 1024 * 1024;

/// The columns that [`Stored::read`] reads.
const COLUMNS: &str = "id, seq, digest, hash, bytes, checksum, head";

/// A snapshot to be stored.
#[derive(Debug)]
pub(super) struct NewSnapshot {
    /// The number of its row, and of its chunks: drawn at random.
    id: i64,
    room: RoomId,
    seq: Seq,
    chain: Chain,
    digest: Digest,
    hash: Digest,
    /// The snapshot without its state.
    head: Vec<u8>,
    state: Bytes,
}

impl NewSnapshot {
    /// Encodes and hashes a snapshot, which takes a while for a large one.
    pub(super) fn new(room: RoomId, mut snapshot: Snapshot) -> rusqlite::Result<Self> {
        let hash = snapshot.state_hash();
        let state = std::mem::take(&mut snapshot.state);
        let head = encoded(&snapshot)?;
        let Snapshot { seq, chain, digest, .. } = snapshot;
        // Not negative, as people expect of row numbers.
        let id = (rand::random::<u64>() >> 1).cast_signed();
        Ok(Self { id, room, seq, chain, digest, hash, head, state })
    }

    /// Returns its weight in the queue.
    pub(super) fn bytes(&self) -> usize {
        self.head.len() + self.state.len()
    }

    /// Returns the number of transactions that write it.
    pub(super) fn portions(&self) -> usize {
        self.state.len().div_ceil(CHUNK_BYTES).max(1)
    }

    /// Returns the number under which its chunks are stored.
    pub(super) fn id(&self) -> i64 {
        self.id
    }
}

/// Writes the next portion of a snapshot; the last one makes it a snapshot of its room.
pub(super) fn put(connection: &Connection, new: &NewSnapshot, portion: usize) -> Result<Outcome, Failed> {
    let room = RoomRow::of(connection, &new.room)?;
    let belongs = log::chain_at(connection, &room, new.seq)? == Some(new.chain)
        && log::build_at(connection, &room, new.seq)? == new.digest;
    if !belongs || head_at(connection, room.key, &new.room, new.seq)?.is_some() {
        drop_chunks(connection, new.id)?;
        let refusal = JournalError::SnapshotMismatch { room: room.room, seq: new.seq };
        return if belongs { Ok(Outcome::Done) } else { Ok(Outcome::Refused(refusal)) };
    }
    let start = (portion * CHUNK_BYTES).min(new.state.len());
    let end = (start + CHUNK_BYTES).min(new.state.len());
    if start < end {
        connection
            .prepare_cached("INSERT INTO chunks (snapshot, number, bytes) VALUES (?1, ?2, ?3)")?
            .execute(params![new.id, saturated(portion as u64), &new.state[start..end]])?;
    }
    if end < new.state.len() {
        Unfinished::Chunks(new.id).begin(connection)?;
        crash::point("snapshot-half-stored");
        return Ok(Outcome::More);
    }
    if portion > 0 {
        Unfinished::Chunks(new.id).end(connection)?;
    }
    let bytes = new.state.len() as u64;
    let sum = row_checksum(room.key, new.id, new.seq, new.digest, new.hash, bytes, &new.head)?;
    connection
        .prepare_cached(
            "INSERT INTO snapshots (id, room, seq, digest, hash, bytes, checksum, head)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            new.id,
            room.key,
            integer(new.seq.0)?,
            new.digest.0,
            new.hash.0,
            integer(bytes)?,
            sum,
            new.head
        ])?;
    crash::point("snapshot-half-stored");
    Ok(Outcome::Done)
}

/// Removes the chunks under this number, unless they have become a snapshot.
pub(super) fn drop_chunks(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM chunks WHERE snapshot = ?1 AND NOT EXISTS (SELECT 1 FROM snapshots WHERE id = ?1)",
        )?
        .execute([id])?;
    Unfinished::Chunks(id).end(connection)
}

/// Returns the snapshot at `seq` without its state, if there is one.
pub(super) fn head_at(
    connection: &Connection,
    key: i64,
    room: &RoomId,
    seq: Seq,
) -> rusqlite::Result<Option<Snapshot>> {
    newest(connection, key, room, seq, saturated(seq.0)).map(|stored| stored.map(|stored| stored.snapshot))
}

/// Returns the snapshot at `seq`, proved, if there is one.
pub(super) fn at(connection: &Connection, key: i64, room: &RoomId, seq: Seq) -> rusqlite::Result<Option<Snapshot>> {
    let stored = newest(connection, key, room, seq, saturated(seq.0))?;
    stored.map(|stored| stored.whole(connection, room)).transpose()
}

/// Returns the snapshot of `Journal::snapshot`.
pub(super) fn snapshot(
    connection: &Connection,
    room: &RoomId,
    at_most: Option<Seq>,
) -> Result<Option<Snapshot>, Failed> {
    let found = RoomRow::of(connection, room)?;
    let at_most = at_most.map_or(i64::MAX, |seq| saturated(seq.0));
    let begins = found.base.map_or(Seq(0), |base| base.seq);
    let stored = newest(connection, found.key, room, begins, at_most)?;
    Ok(stored.map(|stored| stored.whole(connection, room)).transpose()?)
}

/// Returns the snapshots of `Journal::snapshots`.
pub(super) fn snapshots(connection: &Connection, room: &RoomId) -> Result<Vec<SnapshotRecord>, Failed> {
    let found = RoomRow::of(connection, room)?;
    let begins = found.base.map_or(Seq(0), |base| base.seq);
    let sql = format!("SELECT {COLUMNS} FROM snapshots WHERE room = ?1 AND seq >= ?2 ORDER BY seq");
    connection
        .prepare_cached(&sql)?
        .query_and_then(params![found.key, integer(begins.0)?], |row| {
            let Stored { snapshot: Snapshot { seq, digest, .. }, hash, bytes, .. } =
                Stored::read(row, found.key, room)?;
            Ok(SnapshotRecord { seq, digest, bytes, hash })
        })?
        .collect()
}

/// Returns the bytes of `Journal::opening_bytes`.
pub(super) fn opening_bytes(connection: &Connection, room: &RoomId) -> Result<OpeningBytes, Failed> {
    let found = RoomRow::of(connection, room)?;
    let begins = found.start().0;
    let newest = newest(connection, found.key, room, begins, i64::MAX)?;
    let (after, snapshot) = newest.map_or((begins, 0), |stored| (stored.snapshot.seq, stored.bytes));
    Ok(OpeningBytes { snapshot, tail: log::bytes_after(connection, found.key, after)? })
}

/// Proves the row of every snapshot of every room, but not the states.
pub(super) fn prove_rows(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT snapshots.id, seq, digest, hash, bytes, snapshots.checksum, head, snapshots.room, machine, rooms.room
         FROM snapshots LEFT JOIN rooms ON rooms.id = snapshots.room",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let key: i64 = row.get(7)?;
        if row.get_ref(8)?.as_str_or_null()?.is_none() {
            let place = format!("snapshot {}", row.get::<_, i64>(0)?);
            return Err(damage(place, "its room is missing"));
        }
        Stored::read(row, key, &RoomId { machine: name(row, 8)?, room: name(row, 9)? })?;
    }
    Ok(())
}

/// A snapshot's row.
struct Stored {
    id: i64,
    hash: Digest,
    bytes: u64,
    /// The snapshot without its state.
    snapshot: Snapshot,
}

impl Stored {
    /// Reads a row of [`COLUMNS`], proved.
    fn read(row: &Row<'_>, key: i64, room: &RoomId) -> rusqlite::Result<Self> {
        let stands_at: i64 = row.get(1)?;
        let place = || place(room, stands_at);
        let (seq, bytes) = (Seq(placed(number(row, 1), place)?), placed(number(row, 4), place)?);
        let (id, digest, hash) = (row.get(0)?, Digest(row.get(2)?), Digest(row.get(3)?));
        prove(row, 5, row_checksum(key, id, seq, digest, hash, bytes, row.get_ref(6)?.as_blob()?)?, place)?;
        Ok(Self { id, hash, bytes, snapshot: placed(decoded(row, 6), place)? })
    }

    /// Returns the snapshot with its state, proved.
    fn whole(self, connection: &Connection, room: &RoomId) -> rusqlite::Result<Snapshot> {
        let mut statement =
            connection.prepare_cached("SELECT bytes, number FROM chunks WHERE snapshot = ?1 ORDER BY number")?;
        let mut rows = statement.query([self.id])?;
        let mut state = Vec::with_capacity(usize::try_from(self.bytes).unwrap_or(0));
        let mut in_order = true;
        for expected in 0_u64.. {
            let Some(row) = rows.next()? else { break };
            state.extend_from_slice(row.get_ref(0)?.as_blob()?);
            in_order &= row.get::<_, i64>(1)? == saturated(expected);
        }
        if !in_order || Digest::of(&state) != self.hash {
            return Err(damage(place(room, self.snapshot.seq), "its bytes do not match their hash"));
        }
        Ok(Snapshot { state: Bytes::from(state), ..self.snapshot })
    }
}

/// Returns the newest snapshot from `begins` to `at_most`.
fn newest(
    connection: &Connection,
    key: i64,
    room: &RoomId,
    begins: Seq,
    at_most: i64,
) -> rusqlite::Result<Option<Stored>> {
    let sql =
        format!("SELECT {COLUMNS} FROM snapshots WHERE room = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq DESC LIMIT 1");
    connection
        .prepare_cached(&sql)?
        .query_row(params![key, integer(begins.0)?, at_most], |row| Stored::read(row, key, room))
        .optional()
}

fn place(room: &RoomId, seq: impl Display) -> String {
    format!("room {room}, snapshot at {seq}")
}

fn row_checksum(
    key: i64,
    id: i64,
    seq: Seq,
    digest: Digest,
    hash: Digest,
    bytes: u64,
    head: &[u8],
) -> rusqlite::Result<i64> {
    checksum("snapshots", &(key, id, seq, digest, hash, bytes, Digest::of(head)))
}
